//! What this server can do.

use action::messages::capabilities_server::Capabilities;
use action::messages::{
    ActionCacheUpdateCapabilities, CacheCapabilities, ExecutionCapabilities,
    GetCapabilitiesRequest, ServerCapabilities, compressor, digest_function,
    symlink_absolute_path_strategy,
};
use bazel_remote_apis::build::bazel::semver::SemVer;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

use crate::engine::{BATCH, Engine};

fn version(minor: i32) -> SemVer {
    SemVer {
        major: 2,
        minor,
        ..SemVer::default()
    }
}

#[tonic::async_trait]
impl Capabilities for Engine {
    async fn get_capabilities(
        &self,
        _: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<ServerCapabilities>, Status> {
        let sha256 = i32::from(digest_function::Value::Sha256);
        let zstd = i32::from(compressor::Value::Zstd);
        let cache = CacheCapabilities {
            digest_functions: vec![sha256],
            // Results are what was run here; a client's word for one would be taken by all the others.
            action_cache_update_capabilities: Some(ActionCacheUpdateCapabilities {
                update_enabled: false,
            }),
            max_batch_total_size_bytes: i64::try_from(BATCH).unwrap_or(i64::MAX),
            symlink_absolute_path_strategy: symlink_absolute_path_strategy::Value::Allowed.into(),
            supported_compressors: vec![zstd],
            supported_batch_update_compressors: vec![zstd],
            ..CacheCapabilities::default()
        };
        let execution = ExecutionCapabilities {
            digest_function: sha256,
            digest_functions: vec![sha256],
            exec_enabled: self.shared.executor.is_some(),
            ..ExecutionCapabilities::default()
        };
        let mut response = Response::new(ServerCapabilities {
            cache_capabilities: Some(cache),
            execution_capabilities: Some(execution),
            deprecated_api_version: None,
            low_api_version: Some(version(0)),
            high_api_version: Some(version(3)),
        });
        // Messages about blobs may be packed as wholes: gRPC's own word for it.
        let packed = MetadataValue::from_static("identity,zstd");
        response
            .metadata_mut()
            .insert("grpc-accept-encoding", packed);
        Ok(response)
    }
}
