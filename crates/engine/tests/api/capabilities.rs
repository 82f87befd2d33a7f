//! What it says of itself.

use action::messages::GetCapabilitiesRequest;
use action::messages::capabilities_client::CapabilitiesClient;

use crate::running::start;

#[tokio::test]
async fn what_it_can_do_is_said() {
    let running = start().await;
    let mut client = CapabilitiesClient::new(running.channel.clone());
    let said = client
        .get_capabilities(GetCapabilitiesRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(said.execution_capabilities.unwrap().exec_enabled);
    assert!(
        !said
            .cache_capabilities
            .unwrap()
            .action_cache_update_capabilities
            .unwrap()
            .update_enabled
    );
    assert_eq!(said.high_api_version.unwrap().major, 2);
}
