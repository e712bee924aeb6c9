//! stub
use tokio::sync::watch;
/// x
#[derive(Debug, Clone)]
pub struct Stop(std::sync::Arc<watch::Sender<Option<String>>>);
impl Stop {
    /// x
    pub async fn requested(&self) {
        let mut r = self.0.subscribe();
        let _ = r.wait_for(Option::is_some).await;
    }
    /// x
    pub fn manual() -> Self {
        Self(std::sync::Arc::new(watch::Sender::new(None)))
    }
    /// x
    pub fn request(&self, by: &str) {
        self.0.send_replace(Some(by.to_owned()));
    }
    /// x
    pub fn by(&self) -> String {
        self.0.borrow().clone().unwrap_or_default()
    }
}
