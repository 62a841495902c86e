// A language model that does as it is told: an OpenAI-compatible server in the test's own process. What it says names
// the marker of the message it answers, so that a reply can be told from another's. It writes down every call.

import { createServer } from 'node:http';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

const words = ['the ', 'tide ', 'turns ', 'slowly ', '🌊 ', 'and ', 'all ', 'waits '];

/** The first `#word` of a text; tests put one into each message. */
export const markerOf = (text) => text.match(/#[\w-]+/)?.[0];

/** What the model says to a message with this marker, in `chunks` pieces. */
export const piecesFor = (marker, chunks) => {
  const pieces = [`About ${marker} `];
  for (let i = 1; i < chunks - 1; i += 1) pieces.push(words[i % words.length]);
  if (chunks > 1) pieces.push('indeed.');
  return pieces;
};

const textOf = (content) => (typeof content === 'string' ? content : content.map((part) => part.text ?? '').join(''));

export class Model {
  /** Calls in the order of their arrival: `{messages, last, marker, at, endedAt?, cancelledAt?}`, times in ms. */
  calls = [];
  /** How it answers from now on. `steps`: every piece waits for a `step()`. `fail`: a status instead of
   *  an answer. `says`: this, in one piece. */
  plan = { chunks: 8, firstMs: 0, delayMs: 0, steps: false, fail: undefined, says: undefined };
  #permits = 0;
  #waiting = [];

  static async start() {
    const model = new Model();
    await model.listen();
    return model;
  }

  async listen() {
    this.server = createServer((request, response) => {
      this.#answer(request, response).catch((error) => response.destroy(error));
    });
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.url = `http://127.0.0.1:${this.server.address().port}/v1`;
  }

  async stop() {
    this.release();
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }

  /** Lets `count` pieces go, over all calls that wait. */
  step(count = 1) {
    this.#permits += count;
    while (this.#permits > 0 && this.#waiting.length > 0) {
      this.#permits -= 1;
      this.#waiting.shift()();
    }
  }

  /** Ends the waiting for steps, of the calls under way and of those to come. */
  release() {
    this.plan = { ...this.plan, steps: false };
    this.step(this.#waiting.length);
    this.#permits = 0;
  }

  callsFor(marker) {
    return this.calls.filter((call) => call.marker === marker);
  }

  async #answer(request, response) {
    if (request.method === 'GET') return json(response, 200, { object: 'list', data: [{ id: 'stub', object: 'model' }] });
    let body = '';
    for await (const part of request) body += part;
    const { messages, stream } = JSON.parse(body);
    const last = textOf(messages.findLast((message) => message.role === 'user')?.content ?? '');
    const call = { messages: messages.map((m) => ({ role: m.role, text: textOf(m.content) })), last, marker: markerOf(last), at: Date.now() };
    this.calls.push(call);
    response.on('close', () => { if (!call.endedAt) call.cancelledAt = Date.now(); });

    const { chunks, firstMs, delayMs, fail, says } = this.plan;
    if (fail) return json(response, fail, { error: { message: 'the model is not well', type: 'server_error' } });
    const pieces = says === undefined ? piecesFor(call.marker, chunks) : [says];
    if (!stream) {
      call.endedAt = Date.now();
      const message = { role: 'assistant', content: pieces.join('') };
      return json(response, 200, { id: 'c1', object: 'chat.completion', model: 'stub', choices: [{ index: 0, message, finish_reason: 'stop' }], usage: usage(chunks) });
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    const write = (choice, extra) => response.write(
      `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', model: 'stub', choices: choice ? [{ index: 0, ...choice }] : [], ...extra })}\n\n`,
    );
    await sleep(firstMs);
    for (const [i, piece] of pieces.entries()) {
      if (i > 0 && delayMs) await sleep(delayMs);
      await this.#permit();
      if (call.cancelledAt) return undefined;
      write({ delta: { role: 'assistant', content: piece }, finish_reason: null });
    }
    await this.#permit();
    if (call.cancelledAt) return undefined;
    call.endedAt = Date.now();
    write({ delta: {}, finish_reason: 'stop' });
    write(undefined, { usage: usage(chunks) });
    return response.end('data: [DONE]\n\n');
  }

  #permit() {
    if (!this.plan.steps) return undefined;
    if (this.#permits > 0) {
      this.#permits -= 1;
      return undefined;
    }
    return new Promise((go) => { this.#waiting.push(go); });
  }
}

const usage = (chunks) => ({ prompt_tokens: 20, completion_tokens: chunks, total_tokens: 20 + chunks });

function json(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
