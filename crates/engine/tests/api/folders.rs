//! Outputs that are folders.

use action::messages::BatchReadBlobsRequest;
use action::messages::content_addressable_storage_client::ContentAddressableStorageClient;
use action::{Digest, Hermetic, messages};
use prost::Message;
use tonic::Code;

use crate::running::{Running, shell, start};

impl Running {
    /// The same action whose command is another: of a client before version 2.1, say.
    async fn put_changed(&self, action: &mut Hermetic, change: impl Fn(&mut messages::Command)) {
        let find = |digest: &Digest| {
            let mut blobs = action.packed.blobs.iter();
            blobs.find(|(there, _)| there == digest).unwrap().1.clone()
        };
        let mut message = messages::Action::decode(&*find(&action.packed.digest)).unwrap();
        let named = message.command_digest.as_ref().unwrap();
        let named = Digest::try_from(named).unwrap();
        let mut command = messages::Command::decode(&*find(&named)).unwrap();
        change(&mut command);
        let command = command.encode_to_vec();
        message.command_digest = Some(Digest::of(&command).message());
        let message = message.encode_to_vec();
        action.packed.digest = Digest::of(&message);
        let blobs = [command, message].map(|bytes| (Digest::of(&bytes), bytes));
        action.packed.blobs.extend(blobs);
        self.put_action(action).await;
    }
}

/// As of Bazel's tree artifacts: what is in it, of which one folder is there twice.
#[tokio::test]
#[expect(deprecated, reason = "as clients of the API before 2.1 name outputs")]
async fn outputs_that_are_folders_come_as_trees() {
    let running = start().await;
    let line = "mkdir -p out/a out/b/empty out/c/empty; echo x >out/a/x; chmod 755 out/a/x; ln -s a/x out/link";
    let mut action = shell(line, false);
    let by_kind = |files: &[&str], folders: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let (files, folders): (Vec<String>, Vec<String>) = (names(files), names(folders));
        move |command: &mut messages::Command| {
            command.output_paths.clear();
            command.output_files.clone_from(&files);
            command.output_directories.clone_from(&folders);
            command.output_directory_format = 2;
        }
    };
    running
        .put_changed(&mut action, by_kind(&[], &["out"]))
        .await;
    let response = running.execute(&action).await.unwrap();
    let result = response.result.unwrap();
    let [output] = &*result.output_directories else {
        panic!("{result:?}")
    };
    assert_eq!(&*output.path, "out");
    let fetch = async |digest: Digest| {
        let mut client = ContentAddressableStorageClient::new(running.channel.clone());
        let request = BatchReadBlobsRequest {
            digests: vec![digest.message()],
            ..Default::default()
        };
        let answer = client.batch_read_blobs(request).await.unwrap().into_inner();
        answer.responses[0].data.clone()
    };
    let digest =
        |message: &Option<messages::Digest>| Digest::try_from(message.as_ref().unwrap()).unwrap();
    let tree = messages::Tree::decode(&*fetch(digest(&output.tree_digest)).await).unwrap();
    let root = tree.root.unwrap();
    // `b` and `c` are equal.
    assert_eq!((root.directories.len(), tree.children.len()), (3, 3));
    assert_eq!(
        (&*root.symlinks[0].name, &*root.symlinks[0].target),
        ("link", "a/x")
    );
    let named = |folder: &messages::Directory| Digest::of(&folder.encode_to_vec());
    let a = tree
        .children
        .iter()
        .find(|child| Some(named(child)) == Some(digest(&root.directories[0].digest)));
    let [file] = &*a.unwrap().files else {
        panic!("{a:?}")
    };
    assert!(file.is_executable && &*file.name == "x");
    assert_eq!(fetch(digest(&file.digest)).await, b"x\n");
    let kept = digest(&output.root_directory_digest);
    assert_eq!(kept, named(&root));
    assert_eq!(fetch(kept).await, root.encode_to_vec());

    // It is known as long as all of it is there.
    assert!(running.execute(&action).await.unwrap().cached_result);
    for letter in 0..25 {
        // All else of it is used meanwhile, as others would do.
        running
            .missing(&[digest(&output.tree_digest), action.packed.digest])
            .await;
        running.put(vec![junk(letter)], false).await;
    }
    let file = digest(&file.digest);
    assert_eq!(running.missing(&[file]).await, [file]);
    running.put_action(&action).await;
    assert!(!running.execute(&action).await.unwrap().cached_result);

    for (files, folders, is) in [
        (&["out"][..], &[][..], "folder"),
        (&[], &["in.txt"], "file"),
    ] {
        let mut action = shell(line, true);
        running
            .put_changed(&mut action, by_kind(files, folders))
            .await;
        let status = running.execute(&action).await.unwrap().status.unwrap();
        assert_eq!(status.code, i32::from(Code::InvalidArgument));
        assert!(
            status.message.contains(&format!("is a {is}")),
            "{}",
            status.message
        );
    }
}

fn junk(letter: u8) -> (Digest, Vec<u8>) {
    let content = vec![letter; 3 << 20];
    (Digest::of(&content), content)
}
