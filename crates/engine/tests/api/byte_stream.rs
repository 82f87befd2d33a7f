//! Blobs in pieces.

use action::Digest;
use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use bazel_remote_apis::google::bytestream::{QueryWriteStatusRequest, ReadRequest, WriteRequest};
use tonic::Code;

use crate::running::start;

#[tokio::test]
async fn large_blobs_come_and_go_in_pieces() {
    let running = start().await;
    let content: Vec<u8> = (0..1_500_000_u32)
        .flat_map(|at| (at / 7).to_le_bytes())
        .collect();
    let digest = Digest::of(&content);
    let mut client = ByteStreamClient::new(running.channel.clone());
    let packed = zstd::bulk::compress(&content, 1).unwrap();
    let named = |zstd: bool| {
        format!(
            "{}/{digest}",
            if zstd {
                "compressed-blobs/zstd"
            } else {
                "blobs"
            }
        )
    };
    let pieces = |name: String, data: &[u8], last: bool| {
        let mut at = 0;
        let count = data.chunks(1 << 20).count();
        let pieces: Vec<WriteRequest> = data
            .chunks(1 << 20)
            .enumerate()
            .map(|(number, piece)| {
                let request = WriteRequest {
                    resource_name: name.clone(),
                    write_offset: at,
                    finish_write: last && number + 1 == count,
                    data: piece.to_vec(),
                };
                at += piece.len() as i64;
                request
            })
            .collect();
        tokio_stream::iter(pieces)
    };
    let upload = |zstd: bool| format!("main/uploads/1-2-3/{}", named(zstd));
    // Cut off, wrong, and out of order: nothing is there.
    assert!(
        client
            .write(pieces(upload(false), &content, false))
            .await
            .is_err()
    );
    assert!(
        client
            .write(pieces(upload(false), &content[1..], true))
            .await
            .is_err()
    );
    assert!(
        client
            .write(pieces(upload(true), &packed[..packed.len() - 9], true))
            .await
            .is_err()
    );
    assert!(
        client
            .write(pieces("uploads/nothing".into(), &content, true))
            .await
            .is_err()
    );
    let status = QueryWriteStatusRequest {
        resource_name: upload(false),
    };
    assert!(
        !client
            .query_write_status(status.clone())
            .await
            .unwrap()
            .into_inner()
            .complete
    );
    assert_eq!(running.missing(&[digest]).await, [digest]);

    let written = client
        .write(pieces(upload(true), &packed, true))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(written.committed_size, packed.len() as i64);
    let again = client
        .write(pieces(upload(false), &content, true))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again.committed_size, content.len() as i64);
    assert!(
        client
            .query_write_status(status)
            .await
            .unwrap()
            .into_inner()
            .complete
    );
    for (zstd, offset, limit) in [
        (false, 0, 0),
        (true, 0, 0),
        (false, 4_000_001, 0),
        (false, 17, 1_000_000),
    ] {
        let request = ReadRequest {
            resource_name: named(zstd),
            read_offset: offset,
            read_limit: limit,
        };
        let mut stream = client.read(request).await.unwrap().into_inner();
        let mut read = Vec::new();
        while let Some(piece) = stream.message().await.unwrap() {
            read.extend(piece.data);
        }
        if zstd {
            read = zstd::stream::decode_all(&*read).unwrap();
        }
        let offset = offset as usize;
        let end = if limit == 0 {
            content.len()
        } else {
            offset + limit as usize
        };
        assert!(read == content[offset..end], "{zstd} {offset} {limit}");
    }
    let request = ReadRequest {
        resource_name: named(false),
        read_offset: 1 << 40,
        read_limit: 0,
    };
    assert_eq!(
        client.read(request).await.unwrap_err().code(),
        Code::OutOfRange
    );
}
