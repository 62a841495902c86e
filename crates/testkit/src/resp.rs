//! As much of Redis's protocol (RESP2) as tests need to tell a server what to do and to look at what it holds. What is
//! tested uses a real client.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// A server that does not answer for so long, does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Nil,
    Status(String),
    /// Inside of a list; a command that is refused as a whole is an `io::Error` with the same text.
    Error(String),
    Number(i64),
    Bulk(Vec<u8>),
    List(Vec<Reply>),
}

impl Reply {
    /// A status, an error, a string or a number as text, with what is not UTF-8 replaced; nothing is the empty text.
    pub fn text(&self) -> String {
        match self {
            Self::Nil | Self::List(_) => String::new(),
            Self::Status(text) | Self::Error(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        }
    }

    /// A number, also one that came as a string.
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            other => other.text().parse().ok(),
        }
    }

    /// The items of a list; anything else has none.
    pub fn list(&self) -> &[Reply] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The items of a list as texts.
    pub fn texts(&self) -> Vec<String> {
        self.list().iter().map(Self::text).collect()
    }

    pub fn is_nil(&self) -> bool {
        *self == Self::Nil
    }
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// One connection, without reconnection.
pub struct Connection {
    wire: BufReader<Box<dyn Wire>>,
}

impl Connection {
    pub async fn tcp(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }

    pub async fn unix(path: &Path) -> io::Result<Self> {
        Ok(Self::over(UnixStream::connect(path).await?))
    }

    fn over(stream: impl Wire + 'static) -> Self {
        Self { wire: BufReader::new(Box::new(stream)) }
    }

    /// Sends one command and waits for its reply; a refusal is an error with the server's text.
    pub async fn call<T: AsRef<[u8]>>(&mut self, words: &[T]) -> io::Result<Reply> {
        self.send(words).await?;
        self.reply().await
    }

    /// Sends one command in one write.
    pub async fn send<T: AsRef<[u8]>>(&mut self, words: &[T]) -> io::Result<()> {
        let mut line = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            let word = word.as_ref();
            line.extend(format!("${}\r\n", word.len()).bytes());
            line.extend(word);
            line.extend(b"\r\n");
        }
        timeout(PATIENCE, self.wire.write_all(&line)).await?
    }

    /// The next reply.
    pub async fn reply(&mut self) -> io::Result<Reply> {
        match timeout(PATIENCE, self.read()).await?? {
            Reply::Error(text) => Err(io::Error::other(text)),
            reply => Ok(reply),
        }
    }

    async fn read(&mut self) -> io::Result<Reply> {
        let mut line = String::new();
        if self.wire.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        let kind = line.chars().next().unwrap_or(' ');
        let rest = line.get(kind.len_utf8()..).unwrap_or_default();
        let number = || rest.parse::<i64>().map_err(|_| io::Error::other(format!("no reply of Redis: {line}")));
        Ok(match kind {
            '+' => Reply::Status(rest.to_owned()),
            '-' => Reply::Error(rest.to_owned()),
            ':' => Reply::Number(number()?),
            '$' => {
                let Ok(length) = usize::try_from(number()?) else { return Ok(Reply::Nil) };
                let mut bytes = vec![0; length + 2];
                self.wire.read_exact(&mut bytes).await?;
                bytes.truncate(length);
                Reply::Bulk(bytes)
            }
            '*' => {
                let Ok(length) = usize::try_from(number()?) else { return Ok(Reply::Nil) };
                let mut items = Vec::new();
                for _ in 0..length {
                    items.push(Box::pin(self.read()).await?);
                }
                Reply::List(items)
            }
            _ => return Err(io::Error::other(format!("no reply of Redis: {line}"))),
        })
    }
}
