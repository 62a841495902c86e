// Pictures in a bucket: the real server, and moto's server, which speaks S3 over HTTP. Google Cloud Storage's XML API has
// the same calls, so the same store stands for both, each reached by its own client in the server.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually } from '../contract/client.mjs';
import { Server } from '../contract/server.mjs';
import { Daemon } from '../lib/daemon.mjs';
import { png } from '../lib/pictures.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const moto = path.join(here, '.venv/bin/moto_server');
const bucket = 'aimtest';

class ObjectStore extends Daemon {
  static async start() {
    if (!existsSync(moto)) throw new Error(`${moto} is not there: make test installs it`);
    const store = new ObjectStore('object-store');
    await store.lease();
    await store.run([moto, '-H', '127.0.0.1', '-p', String(store.port)], async () => {
      const made = await fetch(`${store.url}/${bucket}`, { method: 'PUT' });
      assert.ok(made.ok, `a bucket: ${made.status}`);
    });
    return store;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The keys of all that lies in the bucket under `prefix`. */
  async keys(prefix) {
    const answer = await fetch(`${this.url}/${bucket}?list-type=2&prefix=${prefix}`);
    return [...(await answer.text()).matchAll(/<Key>([^<]+)<\/Key>/g)].map(([, key]) => key);
  }
}

let store;
before(async () => { store = await ObjectStore.start(); });
after(async () => { await store?.close(); });

/** How each vendor's own settings name the store. */
const vendors = {
  s3: () => ({
    AIM_MEDIA__URL: `s3://${bucket}/in-s3`,
    AWS_ENDPOINT: store.url, AWS_ALLOW_HTTP: 'true', AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret',
  }),
  gs: () => ({
    AIM_MEDIA__URL: `gs://${bucket}/in-gs`,
    // As Google's own file has it, with a key of this test's: what is signed with it is a token at once.
    GOOGLE_SERVICE_ACCOUNT_KEY: JSON.stringify({
      gcs_base_url: store.url, client_email: 'aim@test.example', private_key_id: 'test',
      private_key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
    }),
  }),
};

for (const [vendor, settings] of Object.entries(vendors)) {
  test(`pictures lie in a bucket (${vendor}://), are served from it, and go from it`, async (t) => {
    const server = await Server.start({ env: settings() });
    t.after(() => server.stop());
    const ada = await server.register();
    const call = (method, where, headers = {}, body) => (
      fetch(server.url + where, { method, headers: { authorization: `Bearer ${ada.token}`, ...headers }, body, redirect: 'manual' })
    );
    const form = new FormData();
    // More than one part of a streamed upload: S3 takes none under 5 MiB.
    form.append('file', new Blob([png(2_000, 1_500, { noise: true })]), 'large.png');
    const answer = await call('POST', '/api/uploads', {}, form);
    assert.equal(answer.status, 201, await answer.clone().text());
    const { id } = (await answer.json()).upload;
    const ready = await eventually('the picture', async () => {
      const { upload } = await (await call('GET', `/api/uploads/${id}`)).json();
      assert.notEqual(upload.status, 'failed', upload.error);
      return upload.status === 'ready' && upload;
    }, 60_000);
    assert.deepEqual(ready.variants.map((variant) => variant.name), ['thumb', 'display', 'full']);

    const whole = Buffer.from(await (await call('GET', `/media/${id}/thumb`)).arrayBuffer());
    assert.equal(whole.subarray(8, 12).toString(), 'WEBP');
    const part = await call('GET', `/media/${id}/thumb`, { range: 'bytes=8-11' });
    assert.deepEqual([part.status, await part.text()], [206, 'WEBP']);

    const keys = await store.keys(`in-${vendor}`);
    assert.equal(keys.filter((key) => key.includes(id)).length, 3, `only what was encoded anew stays: ${keys}`);
    assert.equal((await call('DELETE', `/api/uploads/${id}`)).status, 204);
    await eventually('the files are gone', async () => (await store.keys(`in-${vendor}`)).length === 0, 20_000);
  });
}
