"""A worker that takes over aim's queue `email`: it hands mails to an SMTP server. The server of aim that added a job has
claimed the mail and notes how it ended. docs/queues.md describes both sides.

    AIM_WORKERS__FOREIGN=email aim serve
    python -m venv .venv && .venv/bin/pip install -r requirements.txt
    REDIS_URL=redis://127.0.0.1 SMTP_URL=smtp://user:password@mail.example.org:587 .venv/bin/python worker.py
"""

import asyncio
import os
import signal
import smtplib
import sys
from email.message import EmailMessage
from email.utils import parseaddr
from urllib.parse import unquote, urlsplit

from bullmq import UnrecoverableError, Worker

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
QUEUE_PREFIX = os.environ.get("QUEUE_PREFIX", "aim")
# smtp:// with STARTTLS where the server offers it, smtps:// with TLS from the first byte.
SMTP_URL = urlsplit(os.environ.get("SMTP_URL", "smtp://127.0.0.1:25"))
CONCURRENCY = int(os.environ.get("CONCURRENCY", "4"))
TIMEOUT = 30  # seconds that the mail server may take to answer


def message_of(data):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = data["from"], data["to"], data["subject"]
    for name, value in data["headers"].items():  # Message-ID, Date and the like: the same at each attempt
        message[name] = value
    message.set_content(data["text"])
    message.add_alternative(data["html"], subtype="html")
    return message


def announce(server, data):
    """Goes as far as the server goes without having the letter."""
    server.ehlo()
    if SMTP_URL.scheme == "smtp" and server.has_extn("starttls"):
        server.starttls()
        server.ehlo()
    if SMTP_URL.username:
        server.login(unquote(SMTP_URL.username), unquote(SMTP_URL.password or ""))
    for code, answer in (server.mail(parseaddr(data["from"])[1]), server.rcpt(data["to"])):
        if code >= 300:
            raise smtplib.SMTPResponseException(code, answer)


def send(data):
    """Answers what the mail server said. A reason that begins with 4 says that the letter was certainly not taken, and is to
    be tried later; one with 5, that it never will be. With any other reason aim takes it for sent, perhaps, and never sends
    it again."""
    letter = message_of(data).as_bytes()
    connect = smtplib.SMTP_SSL if SMTP_URL.scheme == "smtps" else smtplib.SMTP
    port = SMTP_URL.port or (465 if SMTP_URL.scheme == "smtps" else 587)
    try:
        server = connect(SMTP_URL.hostname, port, timeout=TIMEOUT)
    except (OSError, smtplib.SMTPException) as error:
        raise UnrecoverableError(f"421 no connection: {error}") from error
    try:
        try:
            announce(server, data)
        except smtplib.SMTPResponseException as error:
            raise UnrecoverableError(reason(error)) from error
        except (OSError, smtplib.SMTPException) as error:
            raise UnrecoverableError(f"421 before the letter: {error}") from error
        # From here on it may be over there, unless the server says that it is not.
        try:
            code, answer = server.data(letter)
        except smtplib.SMTPResponseException as error:
            raise UnrecoverableError(reason(error)) from error
        if code != 250:
            raise UnrecoverableError(reason(smtplib.SMTPDataError(code, answer)))
        return f"{code} {answer.decode(errors='replace')}"
    finally:
        server.close()


def reason(error):
    answer = error.smtp_error
    return f"{error.smtp_code} {answer.decode(errors='replace') if isinstance(answer, bytes) else answer}"


async def process(job, token):
    if job.name != "send":
        raise UnrecoverableError("500 this job sends no mail")
    if job.attemptsStarted > 1:
        # The worker that had it is gone, and may have sent it.
        raise UnrecoverableError("another worker had this mail")
    return await asyncio.to_thread(send, job.data)


async def main():
    # A run whose worker is lost is not repeated: maxStalledCount.
    worker = Worker("email", process, {
        "connection": REDIS_URL, "prefix": QUEUE_PREFIX, "concurrency": CONCURRENCY,
        "lockDuration": 10_000, "stalledInterval": 5_000, "maxStalledCount": 0,
    })
    worker.on("failed", lambda job, error, *_: print(f"{job.id if job else 'a job'} failed: {error}", file=sys.stderr))
    worker.on("error", lambda error, *_: print(error, file=sys.stderr))
    end = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, end.set)
    print("working", flush=True)
    await end.wait()
    await worker.close()  # takes no more, and waits for the mails under way
    print("ended", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
