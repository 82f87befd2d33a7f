//! Sends blobs that the server does not have.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use action::messages::content_addressable_storage_client::ContentAddressableStorageClient;
use action::messages::{
    BatchUpdateBlobsRequest, FindMissingBlobsRequest, batch_update_blobs_request::Request,
    compressor,
};
use action::{Digest, packing};
use bazel_remote_apis::google::bytestream::WriteRequest;
use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use tonic::Status;
use tonic::codec::CompressionEncoding;

use crate::held::Claim;
use crate::packed::Packed;
use crate::server::Server;
use crate::trouble::{Trouble, said_within};

/// Digests in one question: some 70 bytes each.
const QUESTION: usize = 20_000;
/// Bytes of a blob in one message of a stream.
const PIECE: usize = 1 << 20;
/// Smaller ones gain nothing.
const WORTH_PACKING: usize = 128;
/// What a blob takes of a message besides its content, or more: its digest, in hexadecimal digits, and a compressor.
const NAMING: u64 = 128;

/// A blob to be sent.
#[derive(Debug)]
pub enum Content {
    /// In memory.
    Bytes(Vec<u8>),
    /// On disk, read from where it stands.
    File(File),
}

/// Where the contents of blobs come from. Calls may block for a disk.
pub trait Contents: Send + Sync {
    /// The content of that name.
    ///
    /// # Errors
    ///
    /// It cannot be read, or has another content by now.
    fn content(&self, digest: &Digest) -> io::Result<Content>;

    /// Whether it is of this action alone. A server that does not know the action's result hardly holds it, so
    /// that to ask costs more than to send it.
    fn is_of_action(&self, digest: &Digest) -> bool {
        let _ = digest;
        false
    }

    /// What this blob names, if it is a folder. A server that lacked one of them hardly holds the folder.
    fn named_by(&self, digest: &Digest) -> &[Digest] {
        let _ = digest;
        &[]
    }
}

impl Server {
    /// Has the server hold these blobs. What is on its way arrives even if the caller gives up: its job may have ended
    /// elsewhere, and others want a compiler that takes minutes over a slow line.
    pub(crate) async fn provide(
        &self,
        digests: &[Digest],
        contents: &Arc<dyn Contents>,
    ) -> Result<(), Trouble> {
        // The first action of a session names folders that other sessions have sent.
        let asks_all = self.held.is_empty();
        // What others send comes, or fails and is ours in the next round.
        loop {
            let wanted = self.held.want(digests.iter().copied());
            if wanted.claim.digests.is_empty() && wanted.coming.is_empty() {
                return Ok(());
            }
            if !wanted.claim.digests.is_empty() {
                let (server, contents) = (self.clone(), Arc::clone(contents));
                let sent = tokio::spawn(async move {
                    server
                        .fulfil(wanted.claim, asks_all, &wanted.lacked, &contents)
                        .await
                });
                let broken = |error: tokio::task::JoinError| Trouble::Broken(error.to_string());
                sent.await.map_err(broken)??;
            }
            for mut other in wanted.coming {
                // An error is its end.
                let _ = other.changed().await;
            }
        }
    }

    /// Sends what the server does not hold of a claim; it lacked some blobs beside these before.
    async fn fulfil(
        &self,
        claim: Claim,
        asks_all: bool,
        lacked: &HashSet<Digest>,
        contents: &Arc<dyn Contents>,
    ) -> Result<(), Trouble> {
        let (mut missing, unsure) = match asks_all {
            true => (Vec::new(), claim.digests.clone()),
            false => split(&claim.digests, lacked, &**contents),
        };
        if !unsure.is_empty() {
            missing.extend(self.missing(&unsure).await?);
        }
        self.send(missing.clone(), contents).await?;
        // Nobody has asked about what is of the action alone; a result of another action in the same tree may be known.
        missing.retain(|digest| !contents.is_of_action(digest));
        claim.done(&missing);
        Ok(())
    }

    /// Those of these blobs that the server does not hold.
    async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, Trouble> {
        let mut client = self.storage();
        let mut missing = Vec::new();
        for part in digests.chunks(QUESTION) {
            let request = FindMissingBlobsRequest {
                instance_name: self.instance.clone(),
                blob_digests: part.iter().map(Digest::message).collect(),
                ..FindMissingBlobsRequest::default()
            };
            let answer = client.find_missing_blobs(request).await?.into_inner();
            let asked: HashSet<_> = part.iter().collect();
            for message in &answer.missing_blob_digests {
                let digest = Digest::try_from(message);
                let digest = digest.map_err(|error| Trouble::Liar(error.to_string()))?;
                if !asked.contains(&digest) {
                    let text = format!("it lacks {digest}, which it was not asked about");
                    return Err(Trouble::Liar(text));
                }
                missing.push(digest);
            }
        }
        Ok(missing)
    }

    /// Sends small blobs together, large ones in pieces.
    async fn send(
        &self,
        mut digests: Vec<Digest>,
        contents: &Arc<dyn Contents>,
    ) -> Result<(), Trouble> {
        digests.sort_unstable_by_key(|digest| digest.size);
        let small = |digest: &Digest| digest.size + NAMING <= self.offers.batch as u64;
        let split = digests.partition_point(small);
        let (small, large) = digests.split_at(split);
        let mut at = 0;
        while at < small.len() {
            let mut bytes = 0;
            let fits = |digest: &&Digest| {
                bytes += digest.size + NAMING;
                bytes <= self.offers.batch as u64
            };
            let count = small[at..].iter().take_while(fits).count();
            self.send_batch(&small[at..at + count], contents).await?;
            at += count;
        }
        for &digest in large {
            self.send_stream(digest, contents).await?;
        }
        Ok(())
    }

    async fn send_batch(
        &self,
        digests: &[Digest],
        contents: &Arc<dyn Contents>,
    ) -> Result<(), Trouble> {
        // As a whole it packs better: names and contents of one action repeat each other.
        let zstd = self.offers.zstd_in_batches && !self.offers.zstd_of_messages;
        let (digests, contents) = (digests.to_vec(), Arc::clone(contents));
        let requests = blocking(move || {
            let request = |digest: Digest| {
                let data = read(digest, &*contents)?;
                let packed = match zstd && data.len() >= WORTH_PACKING {
                    true => packing::pack(&data)
                        .ok()
                        .filter(|packed| packed.len() < data.len()),
                    false => None,
                };
                Ok(Request {
                    digest: Some(digest.message()),
                    compressor: match packed {
                        Some(_) => compressor::Value::Zstd.into(),
                        None => compressor::Value::Identity.into(),
                    },
                    data: packed.unwrap_or(data),
                })
            };
            digests
                .into_iter()
                .map(request)
                .collect::<Result<Vec<_>, Trouble>>()
        });
        let request = BatchUpdateBlobsRequest {
            instance_name: self.instance.clone(),
            requests: requests.await?,
            ..BatchUpdateBlobsRequest::default()
        };
        let answer = self
            .storage()
            .batch_update_blobs(request)
            .await?
            .into_inner();
        for response in answer.responses {
            let status = response.status.unwrap_or_default();
            if status.code != 0 {
                return Err(untaken(said_within(&status)));
            }
        }
        Ok(())
    }

    async fn send_stream(
        &self,
        digest: Digest,
        contents: &Arc<dyn Contents>,
    ) -> Result<(), Trouble> {
        if digest.size > self.offers.largest {
            let text = format!("it takes no contents of {} bytes", digest.size);
            return Err(Trouble::Refused(text));
        }
        let zstd = self.offers.zstd_in_streams;
        let contents = Arc::clone(contents);
        let data = blocking(move || {
            let data = read(digest, &*contents)?;
            match zstd {
                false => Ok(data),
                true => packing::pack(&data).map_err(|error| Trouble::Broken(error.to_string())),
            }
        });
        let data = data.await?;
        let name = self.upload_name(&digest, zstd);
        let count = data.len().div_ceil(PIECE).max(1);
        let pieces = (0..count).map(move |number| {
            let start = number * PIECE;
            let end = data.len().min(start + PIECE);
            WriteRequest {
                resource_name: if number == 0 {
                    name.clone()
                } else {
                    String::new()
                },
                write_offset: i64::try_from(start).unwrap_or(i64::MAX),
                finish_write: number + 1 == count,
                data: data[start..end].to_vec(),
            }
        });
        let mut client = ByteStreamClient::new(self.channel.clone());
        // A server that has it meanwhile may say so before all has come.
        let written = client.write(tokio_stream::iter(pieces)).await;
        written.map_err(untaken)?;
        Ok(())
    }

    fn upload_name(&self, digest: &Digest, zstd: bool) -> String {
        static UPLOADS: AtomicU64 = AtomicU64::new(0);
        let number = UPLOADS.fetch_add(1, Ordering::Relaxed);
        // The form of a random UUID, as the API wants it; unique among all processes here.
        let unique = format!("{:08x}-0000-4000-8000-{number:012x}", std::process::id());
        let instance = match &*self.instance {
            "" => String::new(),
            instance => format!("{instance}/"),
        };
        let kind = if zstd {
            "compressed-blobs/zstd"
        } else {
            "blobs"
        };
        format!("{instance}uploads/{unique}/{kind}/{digest}")
    }

    pub(crate) fn storage(&self) -> ContentAddressableStorageClient<Packed> {
        let is_taken = self.offers.zstd_of_messages;
        let channel = Packed {
            channel: self.channel.clone(),
            is_taken,
        };
        let client = ContentAddressableStorageClient::new(channel)
            .max_decoding_message_size(crate::server::MESSAGE);
        match is_taken {
            true => client.accept_compressed(CompressionEncoding::Zstd),
            false => client,
        }
    }
}

/// What it means that a server does not take a blob: one without room for it that does not say when to come again keeps
/// nothing of what comes, and is no busy one.
fn untaken(status: Status) -> Trouble {
    match Trouble::from(status) {
        Trouble::Busy { said, again: None } => Trouble::Forgetful(said),
        other => other,
    }
}

/// Splits claimed blobs into those that the server surely lacks and those it has to be asked about: it lacks what is of the
/// action alone, and folders with anything below them that it lacked.
fn split(
    claimed: &[Digest],
    lacked: &HashSet<Digest>,
    contents: &dyn Contents,
) -> (Vec<Digest>, Vec<Digest>) {
    fn is_new(
        digest: &Digest,
        known: &mut HashMap<Digest, Option<bool>>,
        lacked: &HashSet<Digest>,
        contents: &dyn Contents,
    ) -> bool {
        match known.get(digest) {
            None => lacked.contains(digest),
            Some(Some(is_new)) => *is_new,
            Some(None) => {
                let mut below = contents.named_by(digest).iter();
                let new = contents.is_of_action(digest)
                    || below.any(|digest| is_new(digest, known, lacked, contents));
                known.insert(*digest, Some(new));
                new
            }
        }
    }
    let mut known = claimed.iter().map(|digest| (*digest, None)).collect();
    let is_new = |digest: &Digest| is_new(digest, &mut known, lacked, contents);
    claimed.iter().copied().partition(is_new)
}

/// A content as a whole, which has to be what its name says: files change.
fn read(digest: Digest, contents: &dyn Contents) -> Result<Vec<u8>, Trouble> {
    let unreadable = |error: io::Error| Trouble::Unreadable(error.to_string());
    let bytes = match contents.content(&digest).map_err(unreadable)? {
        Content::Bytes(bytes) => bytes,
        Content::File(file) => {
            let mut bytes = Vec::new();
            file.take(digest.size + 1)
                .read_to_end(&mut bytes)
                .map_err(unreadable)?;
            bytes
        }
    };
    match Digest::of(&bytes) == digest {
        true => Ok(bytes),
        false => Err(Trouble::Unreadable(
            "a file changed while it was sent".to_owned(),
        )),
    }
}

/// Runs what may wait for a disk where it keeps nobody waiting.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Trouble::Broken(error.to_string())))
}
