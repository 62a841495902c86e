//! A post office that does as it is told, and writes down what it took.

use crate::world::{World, settings, until};
use aim_mail::{Carrier, Fault, Mail, Passage, Sender};
use aim_platform::{Post, Settings};
use async_trait::async_trait;
use mail_parser::{HeaderValue, MessageParser};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// What becomes of a letter that is brought.
#[derive(Clone, Debug)]
pub enum Plan {
    /// At the door, before anything is handed over.
    Refuse(Fault),
    /// It is taken at the door and refused, or in doubt, then.
    Lose(Fault),
    /// Nobody answers at the door.
    HangBefore,
    /// It is handed over, and nobody answers.
    HangAfter,
}

#[derive(Clone, Debug)]
pub struct Taken {
    pub id: String,
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// `List-Unsubscribe`, and `List-Unsubscribe-Post`.
    pub unsubscribe: Option<(String, String)>,
}

impl Taken {
    /// The token of the first link that leads to this page.
    pub fn token(&self, page: &str) -> String {
        let start = format!("https://aim.example.test/{page}?token=");
        let at = self.text.find(&start).unwrap_or_else(|| panic!("no link to {page} in: {}", self.text)) + start.len();
        self.text[at..].split_whitespace().next().unwrap().to_owned()
    }
}

#[derive(Default)]
pub struct PostOffice {
    plans: Mutex<VecDeque<Plan>>,
    taken: Mutex<Vec<Taken>>,
    /// Letters that were brought to the door.
    pub brought: Mutex<usize>,
}

impl PostOffice {
    /// What becomes of the next letters, one each; those after them are taken.
    pub fn plan(&self, plans: impl IntoIterator<Item = Plan>) {
        self.plans.lock().extend(plans);
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().clone()
    }

    pub fn brought(&self) -> usize {
        *self.brought.lock()
    }

    /// The letters of this subject, once there are so many.
    pub async fn of(&self, subject: &str, count: usize) -> Vec<Taken> {
        let matching = || self.taken().into_iter().filter(|taken| taken.subject.contains(subject)).collect::<Vec<_>>();
        until(&format!("{count} letters of {subject:?}"), || matching().len() >= count).await;
        matching()
    }
}

/// Settings with mail through this office; times are short.
pub fn with(office: &Arc<PostOffice>) -> Settings {
    let post = Post {
        carrier: Arc::new(Door(office.clone())),
        from: Sender::parse("aim <hello@aim.example.test>").unwrap(),
        public_url: "https://aim.example.test".into(),
        reply_wait: Duration::from_millis(300),
        concurrency: 4,
        attempts: 3,
        backoff: Duration::from_millis(100),
    };
    Settings { post: Some(post), ..settings() }
}

impl World {
    /// Lets the clock go as the day does.
    pub fn let_time_pass(&self) {
        let clock = self.clock.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(10)).await;
                clock.advance(Duration::from_millis(10));
            }
        });
    }
}

struct Door(Arc<PostOffice>);

#[async_trait]
impl Carrier for Door {
    fn place(&self) -> String {
        "the test".into()
    }

    async fn open(&self, mail: Mail) -> Result<Box<dyn Passage>, Fault> {
        *self.0.brought.lock() += 1;
        let plan = self.0.plans.lock().pop_front();
        match plan {
            Some(Plan::Refuse(fault)) => Err(fault),
            Some(Plan::HangBefore) => std::future::pending().await,
            plan => Ok(Box::new(Counter { office: self.0.clone(), mail, plan })),
        }
    }

    async fn check(&self) -> Result<(), Fault> {
        Ok(())
    }
}

struct Counter {
    office: Arc<PostOffice>,
    mail: Mail,
    plan: Option<Plan>,
}

#[async_trait]
impl Passage for Counter {
    async fn hand_over(self: Box<Self>) -> Result<String, Fault> {
        if let Some(Plan::Lose(fault)) = self.plan {
            return Err(fault);
        }
        self.office.taken.lock().push(read(&self.mail));
        if let Some(Plan::HangAfter) = self.plan {
            std::future::pending::<()>().await;
        }
        Ok("250 taken".into())
    }
}

fn read(mail: &Mail) -> Taken {
    let message = MessageParser::default().parse(mail.bytes()).unwrap();
    assert_eq!(message.message_id().unwrap(), format!("{}@aim.example.test", mail.id()));
    let header = |name: &str| match message.header(name) {
        Some(HeaderValue::Text(text)) => Some(text.to_string()),
        Some(HeaderValue::Address(address)) => address.first().and_then(|one| one.address()).map(str::to_owned),
        _ => None,
    };
    Taken {
        id: mail.id().to_owned(),
        to: message.to().unwrap().first().unwrap().address().unwrap().to_owned(),
        subject: message.subject().unwrap().to_owned(),
        text: message.body_text(0).unwrap().into_owned(),
        html: message.body_html(0).unwrap().into_owned(),
        unsubscribe: header("List-Unsubscribe").zip(header("List-Unsubscribe-Post")),
    }
}
