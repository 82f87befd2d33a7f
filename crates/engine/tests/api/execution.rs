//! Actions at the same time, clients that leave and come back, and actions that make no sense.

use std::sync::atomic::Ordering;
use std::time::Duration;

use action::Digest;
use action::messages::execution_client::ExecutionClient;
use action::messages::{self, ExecuteRequest, ExecuteResponse, WaitExecutionRequest};
use bazel_remote_apis::google::longrunning::operation;
use prost::Message;
use tonic::Code;

use crate::running::{shell, start};

#[tokio::test]
async fn the_same_action_at_once_runs_once() {
    let running = start().await;
    let action = shell("sleep 0.3; echo x >out.txt", false);
    running.put_action(&action).await;
    let three = tokio::join!(
        running.execute(&action),
        running.execute(&action),
        running.execute(&action)
    );
    for response in [three.0, three.1, three.2] {
        assert_eq!(
            response.unwrap().result.unwrap().output_files[0].contents,
            b"x\n"
        );
    }
    assert_eq!(running.plain.runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_client_may_come_back_and_one_that_does_not_ends_its_job() {
    let running = start().await;
    // Longer than it takes until its name is told.
    let action = shell("sleep 3; echo x >out.txt", false);
    running.put_action(&action).await;
    let mut client = ExecutionClient::new(running.channel.clone());
    let request = ExecuteRequest {
        action_digest: Some(action.packed.digest.message()),
        ..Default::default()
    };
    let mut stream = client.execute(request).await.unwrap().into_inner();
    let name = stream.message().await.unwrap().unwrap().name;
    drop(stream);
    let mut stream = client
        .wait_execution(WaitExecutionRequest { name })
        .await
        .unwrap()
        .into_inner();
    let done = loop {
        let message = stream.message().await.unwrap().unwrap();
        if message.done {
            break message;
        }
    };
    assert!(done.result.is_some());
    assert_eq!(running.plain.runs.load(Ordering::SeqCst), 1);
    let unknown = WaitExecutionRequest {
        name: "none".into(),
    };
    assert_eq!(
        client.wait_execution(unknown).await.unwrap_err().code(),
        Code::NotFound
    );

    let long = shell("exec sleep 600", false);
    running.put_action(&long).await;
    let request = ExecuteRequest {
        action_digest: Some(long.packed.digest.message()),
        ..Default::default()
    };
    let mut stream = client.execute(request).await.unwrap().into_inner();
    stream.message().await.unwrap();
    drop(stream);
    while running.plain.stopped.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn until(done: impl Fn() -> bool) {
    for _ in 0..1200 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within a minute");
}

#[tokio::test]
async fn a_client_that_goes_leaves_the_queue_unless_another_waits_for_the_same() {
    let running = start().await;
    let (plain, queued) = (&running.plain, || {
        running.plain.queued.load(Ordering::SeqCst)
    });
    // All slots are taken, and stay so until the end.
    let taken = plain.slots.acquire_many(2).await.unwrap();
    let alone = shell("echo alone >out.txt", false);
    let shared = shell("echo shared >out.txt", false);
    let mut client = ExecutionClient::new(running.channel.clone());
    let mut streams = Vec::new();
    for action in [&alone, &shared, &shared] {
        running.put_action(action).await;
        let request = ExecuteRequest {
            action_digest: Some(action.packed.digest.message()),
            ..Default::default()
        };
        let mut stream = client.execute(request).await.unwrap().into_inner();
        stream.message().await.unwrap();
        streams.push(stream);
    }
    until(|| queued() == 2).await;
    let mut stays = streams.pop().unwrap();
    drop(streams);
    until(|| queued() == 1).await;
    drop(taken);
    let done = loop {
        let message = stays.message().await.unwrap().unwrap();
        if let Some(operation::Result::Response(any)) = message.result {
            break ExecuteResponse::decode(&*any.value).unwrap();
        }
    };
    assert_eq!(done.result.unwrap().output_files[0].contents, b"shared\n");
    assert_eq!(plain.runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn actions_that_make_no_sense_are_refused_with_the_reason() {
    let running = start().await;
    let text = b"no message at all".to_vec();
    let digest = Digest::of(&text);
    running.put(vec![(digest, text)], false).await;
    let mut client = ExecutionClient::new(running.channel.clone());
    let mut refused = async |digest: action::messages::Digest| {
        let request = ExecuteRequest {
            action_digest: Some(digest),
            ..Default::default()
        };
        client.execute(request).await.unwrap_err()
    };
    let status = refused(digest.message()).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("the action makes no sense"),
        "{status}"
    );
    let status = refused(action::messages::Digest::default()).await;
    assert!(
        status.message().contains("64 hexadecimal digits"),
        "{status}"
    );
}

/// Puts these folders, each within the next, and says what becomes of an action over the last.
async fn over(folders: Vec<messages::Directory>) -> Result<(), tonic::Status> {
    let running = start().await;
    let mut inner: Option<Digest> = None;
    let mut blobs = Vec::new();
    for mut folder in folders {
        let within = inner.map(|digest| messages::DirectoryNode {
            name: "a".to_owned(),
            digest: Some(digest.message()),
        });
        folder.directories.extend(within);
        let text = folder.encode_to_vec();
        inner = Some(Digest::of(&text));
        blobs.push((Digest::of(&text), text));
    }
    let command = messages::Command::default().encode_to_vec();
    let action = messages::Action {
        command_digest: Some(Digest::of(&command).message()),
        input_root_digest: inner.map(|digest| digest.message()),
        ..Default::default()
    }
    .encode_to_vec();
    let digest = Digest::of(&action);
    blobs.extend([command, action].map(|text| (Digest::of(&text), text)));
    for some in blobs.chunks(500) {
        running.put(some.to_vec(), false).await;
    }
    let request = ExecuteRequest {
        action_digest: Some(digest.message()),
        ..Default::default()
    };
    let mut client = ExecutionClient::new(running.channel.clone());
    client.execute(request).await.map(|_| ())
}

#[tokio::test]
async fn input_roots_that_no_disk_could_hold_are_refused() {
    use messages::{Directory, FileNode, SymlinkNode};
    let file = |name: String| Directory {
        files: vec![FileNode {
            name,
            digest: Some(Digest::of(b"").message()),
            ..Default::default()
        }],
        ..Default::default()
    };
    let link = Directory {
        symlinks: vec![SymlinkNode {
            name: "l".to_owned(),
            target: "x/".repeat(2048),
            ..Default::default()
        }],
        ..Default::default()
    };
    for (folders, why) in [
        (vec![Directory::default(); 300], "too deep"),
        // A stack holds calls of no such depth.
        (vec![Directory::default(); 6000], "too deep"),
        (vec![file("n".repeat(256))], "longer than 255 bytes"),
        (vec![link], "is too long"),
    ] {
        let status = over(folders).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().contains(why), "{status}");
    }
}
