// A post office: a real SMTP server in the test's own process, with TLS under an authority of its own, which takes mails,
// refuses them or keeps them waiting as it is told, and writes down all it took.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import PostalMime from 'postal-mime';
import { SMTPServer } from 'smtp-server';
import { leasePort } from '../lib/ports.mjs';

export const user = 'aim@example.test';
export const password = 'let/me in?';

/** Of a server that sends mail, with short times. */
export const settings = {
  AIM_MAIL__FROM: 'aim <hello@aim.example.test>',
  AIM_MAIL__PUBLIC_URL: 'https://aim.example.test',
  AIM_MAIL__BACKOFF: '200ms',
  AIM_MAIL__TIMEOUT: '5s',
  AIM_SERVER__LEASE: '2s',
};

/** An answer other than "taken". */
function refusal(code) {
  return Object.assign(new Error(`as the test wants (${code})`), { responseCode: code });
}

/** An authority and a certificate for 127.0.0.1, as PEM. */
function certificates(folder) {
  const file = (name) => path.join(folder, name);
  const openssl = (...words) => execFileSync('openssl', words, { cwd: folder, stdio: 'pipe' });
  writeFileSync(file('server.ext'), 'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n');
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=authority', '-days', '2',
    '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign');
  openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
  openssl('x509', '-req', '-in', 'server.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-out', 'server.crt', '-days', '2', '-extfile', 'server.ext');
  return { key: readFileSync(file('server.key')), cert: readFileSync(file('server.crt')) };
}

export class PostOffice {
  /** In the order of their coming: `{id, to, subject, text, html, headers, isEncrypted, user}`. */
  taken = [];
  /** How often a receiver was named, by address. */
  tried = new Map();
  /** Called with a receiver's address; answers a code to refuse it with, or a promise to keep it waiting for. */
  atReceiver = () => undefined;
  /** The same, once the whole mail is over and written down, before it is answered. */
  atEnd = () => undefined;

  /** `tls`: `starttls`, `wrapped` or `none`. Who comes has to sign in where there is TLS. `lease`: the port to be at. */
  static async start({ tls = 'none', lease } = {}) {
    const post = new PostOffice();
    post.folder = mkdtempSync(path.join(tmpdir(), 'aim-post-'));
    post.tls = tls;
    post.lease = lease ?? (await leasePort());
    const open = tls === 'none';
    post.server = new SMTPServer({
      secure: tls === 'wrapped',
      ...(open ? { disabledCommands: ['STARTTLS', 'AUTH'] } : certificates(post.folder)),
      authOptional: open,
      hideSTARTTLS: open,
      closeTimeout: 200,
      onAuth: (auth, session, done) => {
        if (auth.username === user && auth.password === password) done(null, { user: auth.username });
        else done(new Error('wrong user or password'));
      },
      onRcptTo: ({ address }, session, done) => {
        post.tried.set(address, (post.tried.get(address) ?? 0) + 1);
        post.#answer(post.atReceiver(address), done);
      },
      onData: (stream, session, done) => {
        const chunks = [];
        stream.on('data', (chunk) => chunks.push(chunk));
        stream.on('end', () => {
          post.#take(Buffer.concat(chunks), session).then((mail) => post.#answer(post.atEnd(mail), done), done);
        });
      },
    });
    // A server that was killed leaves its connections broken.
    post.server.on('error', () => {});
    await new Promise((done) => { post.server.listen(post.lease.number, '127.0.0.1', done); });
    return post;
  }

  async #answer(plan, done) {
    const code = await plan;
    if (code === undefined) done();
    else done(refusal(code));
  }

  async #take(bytes, session) {
    const mail = await PostalMime.parse(bytes);
    const header = (name) => mail.headers.find((one) => one.key === name)?.value;
    const one = {
      id: mail.messageId,
      to: session.envelope.rcptTo[0].address,
      subject: mail.subject,
      text: mail.text,
      html: mail.html,
      header,
      isEncrypted: session.secure,
      user: session.user,
    };
    this.taken.push(one);
    return one;
  }

  /** The settings of a server that sends mail here. */
  get env() {
    const host = `127.0.0.1:${this.lease.number}`;
    const who = `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`;
    const url = { none: `smtp://${host}?tls=none`, starttls: `smtp://${who}${host}?tls=required`, wrapped: `smtps://${who}${host}` }[this.tls];
    return {
      ...settings,
      AIM_MAIL__URL: url,
      ...(this.tls === 'none' ? {} : { AIM_MAIL__CA_FILE: path.join(this.folder, 'ca.crt') }),
    };
  }

  to(address, subject = '') {
    return this.taken.filter((mail) => mail.to === address && mail.subject.includes(subject));
  }

  async close() {
    await new Promise((done) => { this.server.close(done); });
    this.lease.release();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The token of a mail's link to this page. */
export function tokenOf(mail, page) {
  const found = new RegExp(`https://aim\\.example\\.test/${page}\\?token=([\\w-]{43})\\s`).exec(mail.text);
  if (!found) throw new Error(`no link to ${page} in: ${mail.text}`);
  return found[1];
}
