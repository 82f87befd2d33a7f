//! Takes contents that the server made.

use action::messages::{BatchReadBlobsRequest, compressor};
use action::{Digest, messages, packing};
use bazel_remote_apis::google::bytestream::ReadRequest;
use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use tonic::{Code, Status};

use crate::server::Server;
use crate::trouble::Trouble;

/// More than any compile makes, and the most that clients can be told.
const LARGEST: u64 = u32::MAX as u64;

/// Something that the server made.
pub(crate) struct Wanted {
    pub(crate) digest: Digest,
    /// What came along with the answer, if anything did.
    pub(crate) inline: Vec<u8>,
}

impl Wanted {
    /// As a message names it; nothing for one that has no name.
    pub(crate) fn new(
        digest: Option<&messages::Digest>,
        inline: Vec<u8>,
    ) -> Result<Wanted, Trouble> {
        let digest = match digest {
            Some(digest) => {
                Digest::try_from(digest).map_err(|error| Trouble::Liar(error.to_string()))?
            }
            None => Digest::of(&inline),
        };
        if digest.size > LARGEST {
            return Err(Trouble::Liar(format!(
                "it made a file of {} bytes",
                digest.size
            )));
        }
        Ok(Wanted { digest, inline })
    }

    fn is_here(&self) -> bool {
        self.inline.len() as u64 == self.digest.size
    }
}

impl Server {
    /// The contents, in the order of `wanted`.
    pub(crate) async fn fetch(&self, wanted: Vec<Wanted>) -> Result<Vec<Vec<u8>>, Trouble> {
        let mut contents: Vec<Option<Vec<u8>>> = Vec::new();
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut digests = Vec::new();
        for (at, one) in wanted.into_iter().enumerate() {
            digests.push(one.digest);
            if one.is_here() {
                contents.push(Some(one.inline));
                continue;
            }
            contents.push(None);
            if one.digest.size > self.offers.batch as u64 {
                contents[at] = Some(self.read_stream(one.digest).await?);
                continue;
            }
            if bytes + one.digest.size > self.offers.batch as u64 {
                self.read_batch(std::mem::take(&mut batch), &digests, &mut contents)
                    .await?;
                bytes = 0;
            }
            bytes += one.digest.size;
            batch.push(at);
        }
        self.read_batch(batch, &digests, &mut contents).await?;
        let checked = digests.iter().zip(contents).map(|(digest, content)| {
            let content = content.unwrap_or_default();
            match Digest::of(&content) == *digest {
                true => Ok(content),
                false => Err(Trouble::Liar(format!("{digest} has another content"))),
            }
        });
        checked.collect()
    }

    async fn read_batch(
        &self,
        places: Vec<usize>,
        digests: &[Digest],
        contents: &mut [Option<Vec<u8>>],
    ) -> Result<(), Trouble> {
        if places.is_empty() {
            return Ok(());
        }
        let request = BatchReadBlobsRequest {
            instance_name: self.instance.clone(),
            digests: places.iter().map(|&at| digests[at].message()).collect(),
            acceptable_compressors: match self.offers.zstd_in_streams {
                true => vec![compressor::Value::Zstd.into()],
                false => Vec::new(),
            },
            ..BatchReadBlobsRequest::default()
        };
        let answer = self.storage().batch_read_blobs(request).await?.into_inner();
        for response in answer.responses {
            let status = response.status.unwrap_or_default();
            if status.code != 0 {
                return Err(gone(Status::new(Code::from(status.code), status.message)));
            }
            let named = response.digest.as_ref().map(Digest::try_from);
            let Some(Ok(digest)) = named else {
                return Err(Trouble::Liar(
                    "it sends a content without a name".to_owned(),
                ));
            };
            let data = match compressor::Value::try_from(response.compressor) {
                Ok(compressor::Value::Identity) => response.data,
                Ok(compressor::Value::Zstd) => packing::unpack(&response.data, digest.size)
                    .map_err(|error| Trouble::Liar(error.to_string()))?,
                _ => return Err(Trouble::Liar("it packs as nobody asked".to_owned())),
            };
            for &at in places.iter().filter(|&&at| digests[at] == digest) {
                contents[at] = Some(data.clone());
            }
        }
        Ok(())
    }

    async fn read_stream(&self, digest: Digest) -> Result<Vec<u8>, Trouble> {
        if !self.offers.zstd_in_streams {
            let content = self.read_pieces("blobs", digest, digest.size).await?;
            return Ok(content);
        }
        // What does not pack gets longer, a little.
        let most = digest.size + (digest.size >> 6) + (1 << 16);
        let packed = self
            .read_pieces("compressed-blobs/zstd", digest, most)
            .await?;
        // That may take a second.
        let unpacked =
            tokio::task::spawn_blocking(move || packing::unpack(&packed, digest.size)).await;
        match unpacked {
            Ok(content) => content.map_err(|error| Trouble::Liar(format!("{digest}: {error}"))),
            Err(error) => Err(Trouble::Broken(error.to_string())),
        }
    }

    /// All that comes under a name of this kind, which may be so many bytes.
    async fn read_pieces(&self, kind: &str, digest: Digest, most: u64) -> Result<Vec<u8>, Trouble> {
        let instance = match &*self.instance {
            "" => String::new(),
            instance => format!("{instance}/"),
        };
        let request = ReadRequest {
            resource_name: format!("{instance}{kind}/{digest}"),
            ..ReadRequest::default()
        };
        let mut client = ByteStreamClient::new(self.channel.clone())
            .max_decoding_message_size(crate::server::MESSAGE);
        let mut stream = client.read(request).await.map_err(gone)?.into_inner();
        let mut content = Vec::new();
        while let Some(piece) = stream.message().await.map_err(gone)? {
            content.extend(piece.data);
            if content.len() as u64 > most {
                return Err(Trouble::Liar(format!("{digest} has more bytes than that")));
            }
        }
        Ok(content)
    }
}

/// What was just made and is not there was lost: that is no fault of the action.
fn gone(status: Status) -> Trouble {
    match status.code() {
        Code::NotFound => Trouble::Broken(format!("it lost what it made: {}", status.message())),
        _ => status.into(),
    }
}
