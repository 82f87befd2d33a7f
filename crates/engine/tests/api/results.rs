//! Results: which are kept, and for how long they hold.

use std::sync::atomic::Ordering;

use action::messages::action_cache_client::ActionCacheClient;
use action::messages::content_addressable_storage_client::ContentAddressableStorageClient;
use action::messages::{GetActionResultRequest, GetTreeRequest};
use action::{Digest, messages};
use prost::Message;
use tonic::Code;
use tonic_types::StatusExt;

use crate::running::{shell, start};

#[tokio::test]
async fn a_result_that_rests_on_the_machine_holds_as_long_as_that_stays_the_same() {
    let running = start().await;
    let mut action = shell("cat in.txt > out.txt", false);
    running.put_action(&action).await;
    let is_action = |(digest, _): &&(Digest, Vec<u8>)| *digest == action.packed.digest;
    let (_, bytes) = action.packed.blobs.iter().find(is_action).unwrap();
    let mut message = messages::Action::decode(&**bytes).unwrap();
    message.platform = Some(messages::Platform::default());
    let bytes = message.encode_to_vec();
    action.packed.digest = Digest::of(&bytes);
    running
        .put(vec![(action.packed.digest, bytes)], false)
        .await;
    let check = async |surroundings: Option<&[u8]>, cached: Option<bool>| {
        *running.plain.surroundings.lock().unwrap() = surroundings.map(Digest::of);
        let response = running.execute(&action).await.ok();
        assert_eq!(response.map(|response| response.cached_result), cached);
    };
    check(Some(b"gcc 12"), Some(false)).await;
    check(Some(b"gcc 12"), Some(true)).await;
    check(Some(b"gcc 13"), Some(false)).await;
    check(Some(b"gcc 12"), Some(true)).await;
    // Where no such action runs, nobody is given the result of one.
    check(None, None).await;
}

#[tokio::test]
async fn an_action_runs_once_and_is_known_then() {
    let running = start().await;
    let action = shell("tr a-z A-Z <in.txt >out.txt; echo x >undeclared", false);
    let status = running.execute(&action).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let violations = status
        .get_details_precondition_failure()
        .unwrap()
        .violations;
    assert_eq!(violations[0].r#type, "MISSING");
    assert_eq!(
        violations[0].subject,
        format!("blobs/{}", action.packed.digest)
    );

    running.put(action.packed.blobs.clone(), false).await;
    let status = running.execute(&action).await.unwrap_err();
    let violations = status
        .get_details_precondition_failure()
        .unwrap()
        .violations;
    let content = Digest::of(b"content");
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].subject, format!("blobs/{content}"));

    running.put_action(&action).await;
    for cached in [false, true] {
        let response = running.execute(&action).await.unwrap();
        assert_eq!(response.cached_result, cached);
        let result = response.result.unwrap();
        assert_eq!((result.exit_code, &*result.stdout_raw), (0, &b"said"[..]));
        let [file] = &*result.output_files else {
            panic!("{result:?}")
        };
        assert_eq!((&*file.path, &*file.contents), ("out.txt", &b"CONTENT"[..]));
    }
    assert_eq!(running.plain.runs.load(Ordering::SeqCst), 1);
    let mut cache = ActionCacheClient::new(running.channel.clone());
    let request = GetActionResultRequest {
        action_digest: Some(action.packed.digest.message()),
        inline_output_files: vec!["out.txt".into()],
        ..Default::default()
    };
    let known = cache.get_action_result(request).await.unwrap().into_inner();
    assert_eq!(known.output_files[0].contents, b"CONTENT");
    let mut tree = ContentAddressableStorageClient::new(running.channel.clone());
    let root = action.packed.blobs.iter().rev().nth(2).unwrap().0;
    let request = GetTreeRequest {
        root_digest: Some(root.message()),
        ..Default::default()
    };
    let page = tree
        .get_tree(request)
        .await
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(page.directories.len(), 2);
}

#[tokio::test]
async fn failures_and_what_must_not_be_kept_run_again() {
    let running = start().await;
    let failing = shell("exit 3", false);
    let uncached = shell("echo x >out.txt", true);
    for action in [&failing, &uncached] {
        running.put_action(action).await;
        for _ in 0..2 {
            assert!(!running.execute(action).await.unwrap().cached_result);
        }
    }
    assert_eq!(running.plain.runs.load(Ordering::SeqCst), 4);
    let result = running.execute(&failing).await.unwrap().result.unwrap();
    assert_eq!(result.exit_code, 3);
    assert!(result.output_files.is_empty());
}

/// Who fetches it by itself can have it packed.
#[tokio::test]
async fn what_is_long_is_not_in_the_result_itself() {
    let running = start().await;
    for (bytes, is_inline) in [(65_536, true), (65_537, false)] {
        let action = shell(&format!("head -c {bytes} /dev/zero >out.txt"), false);
        running.put_action(&action).await;
        let done = running.execute(&action).await.unwrap().result.unwrap();
        let request = GetActionResultRequest {
            action_digest: Some(action.packed.digest.message()),
            inline_output_files: vec!["out.txt".into()],
            ..Default::default()
        };
        let mut cache = ActionCacheClient::new(running.channel.clone());
        let known = cache.get_action_result(request).await.unwrap().into_inner();
        for result in [done, known] {
            let [file] = &*result.output_files else {
                panic!("{result:?}")
            };
            let inline = if is_inline {
                vec![0; bytes]
            } else {
                Vec::new()
            };
            assert!(file.contents == inline);
            assert_eq!(file.digest, Some(Digest::of(&vec![0; bytes]).message()));
        }
    }
}
