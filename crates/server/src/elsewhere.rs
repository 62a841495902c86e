//! What stands in the place of a model and of a mail server where workers of other programs have taken their queues over, and
//! none is set up beside them: it says that they cannot be reached.

use aim_ai::{ErrorKind, LanguageModel, ModelError, ModelName, ReplyStream, Request, TokenBudget};
use aim_mail::{Carrier, Fault as MailFault, Mail, Passage};
use async_trait::async_trait;

/// Workers of other programs give all replies.
pub(crate) struct RepliesByWorkers(ModelName);

impl RepliesByWorkers {
    pub fn new() -> Self {
        Self(ModelName { provider: "none", model: "none".into() })
    }
}

#[async_trait]
impl LanguageModel for RepliesByWorkers {
    fn name(&self) -> &ModelName {
        &self.0
    }

    fn budget(&self) -> TokenBudget {
        TokenBudget::new(1, 1)
    }

    async fn stream(&self, _: Request) -> Result<ReplyStream, ModelError> {
        Err(ModelError::new(
            ErrorKind::Connect,
            "the workers of ai-response cannot be reached, and no other model is set up",
        ))
    }

    async fn check(&self) -> Result<(), ModelError> {
        Err(ModelError::new(ErrorKind::Connect, "the workers of ai-response cannot be reached"))
    }
}

/// Workers of other programs send all mails; without them none goes.
pub(crate) struct MailsByWorkers;

#[async_trait]
impl Carrier for MailsByWorkers {
    fn place(&self) -> String {
        "the workers of the queue email".to_owned()
    }

    async fn open(&self, _: Mail) -> Result<Box<dyn Passage>, MailFault> {
        Err(MailFault::Later(
            "the workers of the queue email cannot be reached, and no mail server is set up".to_owned(),
        ))
    }

    async fn check(&self) -> Result<(), MailFault> {
        Ok(())
    }
}
