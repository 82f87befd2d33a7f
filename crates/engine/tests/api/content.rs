//! Blobs in batches, and whose they are.

use std::collections::BTreeSet;

use action::Digest;
use action::messages::content_addressable_storage_client::ContentAddressableStorageClient;
use action::messages::{
    BatchReadBlobsRequest, BatchUpdateBlobsRequest, batch_update_blobs_request, compressor,
};
use tonic::Code;

use crate::running::{FROM, start};

#[tokio::test]
async fn blobs_come_and_go_in_batches() {
    let running = start().await;
    let contents: [Vec<u8>; 4] = [
        b"a".to_vec(),
        vec![b'b'; 3000],
        Vec::new(),
        b"wrong".to_vec(),
    ];
    let mut blobs: Vec<_> = contents
        .iter()
        .map(|content| (Digest::of(content), content.clone()))
        .collect();
    blobs[3].1 = b"gnorw".to_vec();
    let digests: Vec<_> = blobs.iter().map(|(digest, _)| *digest).collect();
    // The empty one is always there.
    let all_others = [digests[0], digests[1], digests[3]];
    let missing: BTreeSet<_> = running.missing(&digests).await.into_iter().collect();
    assert_eq!(missing, BTreeSet::from(all_others));
    let invalid = i32::from(Code::InvalidArgument);
    assert_eq!(running.put(blobs.split_off(1), true).await, [0, 0, invalid]);
    assert_eq!(running.put(blobs, false).await, [0]);
    assert_eq!(running.missing(&digests).await, [digests[3]]);
    let mut client = ContentAddressableStorageClient::new(running.channel.clone());
    for zstd in [false, true] {
        let request = BatchReadBlobsRequest {
            digests: digests.iter().map(Digest::message).collect(),
            acceptable_compressors: if zstd {
                vec![compressor::Value::Zstd.into()]
            } else {
                Vec::new()
            },
            ..Default::default()
        };
        let answers = client
            .batch_read_blobs(request)
            .await
            .unwrap()
            .into_inner()
            .responses;
        for (answer, content) in answers.iter().zip(&contents).take(3) {
            let data = match answer.compressor {
                0 => answer.data.clone(),
                _ => zstd::bulk::decompress(&answer.data, 5000).unwrap(),
            };
            assert_eq!(&data, content);
        }
        assert_eq!(answers[1].compressor != 0, zstd);
        assert_eq!(
            answers[3].status.as_ref().unwrap().code,
            i32::from(Code::NotFound)
        );
    }
}

/// Sizes are what a client says, and their sum has to fit into a message.
#[tokio::test]
async fn more_than_a_message_can_hold_is_not_read() {
    let running = start().await;
    let large = vec![7; 1 << 20];
    let digest = Digest::of(&large);
    assert_eq!(running.put(vec![(digest, large)], false).await, [0]);
    let mut client = ContentAddressableStorageClient::new(running.channel.clone());
    let invented = |size| Digest { size, ..digest };
    let most = i64::MAX as u64;
    let wraps = [most, u64::MAX - most - (64 << 20) + 1].map(invented);
    for (also, times, is_read) in [
        (&wraps[..0], 3, true),
        (&[], 64, false),
        (&wraps, 64, false),
    ] {
        let digests = std::iter::repeat_n(&digest, times).chain(also);
        let request = BatchReadBlobsRequest {
            digests: digests.map(Digest::message).collect(),
            ..Default::default()
        };
        let answer = client.batch_read_blobs(request).await;
        match is_read {
            true => assert_eq!(answer.unwrap().into_inner().responses.len(), times),
            false => assert_eq!(answer.unwrap_err().code(), Code::InvalidArgument),
        }
    }
}

#[tokio::test]
async fn one_clients_flood_leaves_what_others_use() {
    let running = start().await;
    let put = async |from: &'static str, letter: u8| {
        let say = move |mut request: tonic::Request<()>| {
            request.metadata_mut().insert(FROM, from.parse().unwrap());
            Ok(request)
        };
        let channel = running.channel.clone();
        let mut client = ContentAddressableStorageClient::with_interceptor(channel, say);
        let content = vec![letter; 3 << 20];
        let digest = Digest::of(&content);
        let request = BatchUpdateBlobsRequest {
            requests: vec![batch_update_blobs_request::Request {
                digest: Some(digest.message()),
                data: content,
                compressor: 0,
            }],
            ..Default::default()
        };
        let response = client.batch_update_blobs(request).await.unwrap();
        let status = response.into_inner().responses.remove(0).status;
        assert_eq!(status.unwrap().code, 0);
        digest
    };
    let (small, flood) = ("10.0.0.1:1", "10.0.0.2:1");
    let theirs = put(small, b'a').await;
    // More than the store of 64 MiB has room for, over several connections of one machine.
    let mut first = None;
    for letter in 0..25 {
        let from = if letter % 2 == 0 { flood } else { "10.0.0.2:2" };
        let sent = put(from, letter).await;
        first.get_or_insert(sent);
    }
    let first = first.unwrap();
    assert_eq!(running.missing(&[theirs, first]).await, [first]);
}
