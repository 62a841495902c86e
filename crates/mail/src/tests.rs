#![allow(clippy::unwrap_used, clippy::panic)]

use crate::{Carrier, Fault, Folder, Letter, Mail, Sender, Smtp, SmtpSettings, Unsubscribe, check_url};
use aim_domain::Timestamp;
use mail_parser::{Message, MessageParser};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

fn letter(to: &str) -> Letter {
    Letter {
        to: to.into(),
        subject: "Grüße\r\nBcc: eve@example.test".into(),
        heading: "<b>Hello</b>".into(),
        paragraphs: vec!["Ships & \"storms\".".into(), ".".into()],
        button: Some(("Open".into(), "https://aim.example.test/?a=1&b=2".into())),
        closing: vec!["Small print".into()],
        unsubscribe: Some(Unsubscribe {
            one_click: "https://aim.example.test/api/mail/unsubscribe?token=t".into(),
            page: "https://aim.example.test/unsubscribe?token=t".into(),
        }),
    }
}

fn made(to: &str) -> Result<Mail, Fault> {
    let from = Sender::parse("aim <hello@aim.example.test>").unwrap();
    letter(to).mail("m1", &from, Timestamp(1_795_408_728_120))
}

fn parsed(bytes: &[u8]) -> Message<'_> {
    MessageParser::default().parse(bytes).unwrap()
}

#[test]
fn a_letter_says_the_same_as_text_and_as_html_and_escapes_what_people_typed() {
    let mail = made("tess@example.test").unwrap();
    assert!(mail.bytes.is_ascii());
    let message = parsed(&mail.bytes);
    assert_eq!(message.message_id(), Some("m1@aim.example.test"));
    assert_eq!(message.date().unwrap().to_rfc3339(), "2026-11-23T04:38:48Z");
    assert_eq!(message.subject(), Some("Grüße Bcc: eve@example.test"), "a subject is one line");
    assert!(message.bcc().is_none());
    assert_eq!(message.header_raw("List-Unsubscribe-Post").unwrap().trim(), "List-Unsubscribe=One-Click");
    let (text, html) = (message.body_text(0).unwrap(), message.body_html(0).unwrap());
    assert!(
        text.contains("<b>Hello</b>") && text.contains("Ships & \"storms\".") && text.contains("?a=1&b=2"),
        "{text}"
    );
    assert!(html.contains("&lt;b&gt;Hello&lt;/b&gt;") && html.contains("Ships &amp; &quot;storms&quot;."), "{html}");
    assert!(
        html.contains("href=\"https://aim.example.test/?a=1&amp;b=2\"") && html.contains("prefers-color-scheme:dark")
    );
}

#[test]
fn what_is_no_address_is_never_tried() {
    for none in ["", "tess", "tess@", "tess@example.test\r\nRCPT TO:<eve@example.test>", "a b@example.test"] {
        assert!(matches!(made(none), Err(Fault::Never(_))), "{none}");
    }
    assert!(Sender::parse("hello").is_err());
    assert_eq!(Sender::parse("aim@localhost").unwrap().domain(), "localhost");
}

#[test]
fn an_address_of_a_mail_server_is_read_as_it_is_meant() {
    for fine in [
        "smtp://mail.example.test",
        "smtp://user:p%40ss@mail.example.test:2525?tls=required",
        "smtp://mail.example.test?tls=opportunistic",
        "smtp://[::1]:25?tls=none",
        "smtps://user@mail.example.test",
    ] {
        assert_eq!(check_url(fine), Ok(()), "{fine}");
    }
    for wrong in
        ["", "mail.example.test", "http://mail.example.test", "smtp://", "smtp://h?tls=maybe", "smtps://h?tls=none"]
    {
        let why = check_url(wrong).unwrap_err();
        assert!(!why.contains("example.test"), "{why}");
    }
}

#[tokio::test]
async fn a_folder_holds_whole_letters() {
    let folder = tempfile::tempdir().unwrap();
    let carrier = Folder::new(folder.path().join("mails"));
    let passage = carrier.open(made("tess@example.test").unwrap()).await.unwrap();
    let names = || std::fs::read_dir(folder.path().join("mails")).unwrap().map(|file| file.unwrap().file_name());
    assert_eq!(names().count(), 0, "nothing is there before it is handed over");
    passage.hand_over().await.unwrap();
    assert_eq!(names().collect::<Vec<_>>(), ["m1.eml"]);
    let written = std::fs::read(folder.path().join("mails/m1.eml")).unwrap();
    assert_eq!(parsed(&written).message_id(), Some("m1@aim.example.test"));
}

/// A server that answers each line by its first word; `None` closes the connection.
async fn server(answers: &'static [(&'static str, Option<&'static str>)]) -> Smtp {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"220 here\r\n").await.unwrap();
        let mut within = false;
        while let Ok(Some(line)) = lines.next_line().await {
            if within && line != "." {
                continue;
            }
            let word = if within { "." } else { line.split([' ', ':']).next().unwrap_or_default() };
            let planned = answers.iter().find(|(of, _)| *of == word).map(|(_, answer)| *answer);
            let Some(answer) = planned.unwrap_or(Some("250 fine")) else { return };
            if answer.is_empty() {
                continue;
            }
            within = word == "DATA" && answer.starts_with('3');
            if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                return;
            }
        }
    });
    let settings = SmtpSettings {
        url: format!("smtp://127.0.0.1:{port}?tls=none"),
        ca_file: None,
        hello: "aim.example.test".into(),
        timeout: Duration::from_millis(300),
    };
    Smtp::new(&settings).unwrap()
}

/// How far a letter came, and what came of it.
async fn sent(answers: &'static [(&'static str, Option<&'static str>)]) -> (bool, Result<String, Fault>) {
    let carrier = server(answers).await;
    match carrier.open(made("tess@example.test").unwrap()).await {
        Ok(passage) => (true, passage.hand_over().await),
        Err(fault) => (false, Err(fault)),
    }
}

const DATA: (&str, Option<&str>) = ("DATA", Some("354 go on"));

#[tokio::test]
async fn a_fault_says_whether_the_letter_may_be_over_there() {
    assert_eq!(sent(&[DATA, (".", Some("250 queued as 7"))]).await, (true, Ok("queued as 7".into())));
    let later = |fault: &Fault| matches!(fault, Fault::Later(_));
    let never = |fault: &Fault| matches!(fault, Fault::Never(_));
    let doubt = |fault: &Fault| matches!(fault, Fault::Doubt(_));
    type Case = (&'static [(&'static str, Option<&'static str>)], bool, fn(&Fault) -> bool);
    let cases: [Case; 12] = [
        (&[("EHLO", Some("554 go away"))], false, later),
        (&[("EHLO", None)], false, later),
        (&[("MAIL", Some("451 busy"))], false, later),
        (&[("MAIL", Some("550 not from there"))], false, never),
        (&[("RCPT", Some("450 later"))], false, later),
        (&[("RCPT", Some("550 nobody"))], false, never),
        (&[("RCPT", Some(""))], false, later),
        (&[("DATA", Some("451 busy"))], true, later),
        (&[("DATA", None)], true, later),
        (&[DATA, (".", Some("554 spam"))], true, never),
        (&[DATA, (".", None)], true, doubt),
        (&[DATA, (".", Some(""))], true, doubt),
    ];
    for (n, (answers, at_door, is)) in cases.into_iter().enumerate() {
        let (reached, outcome) = sent(answers).await;
        let fault = outcome.unwrap_err();
        assert!(reached == at_door && is(&fault), "case {n}: {reached} {fault:?}");
    }
}
