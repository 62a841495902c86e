// One of the example workers of `examples/workers`, as somebody would run it.

import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Daemon } from './daemon.mjs';

const examples = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../examples/workers');
const kinds = {
  node: { words: [process.execPath, path.join(examples, 'node/worker.mjs')], needs: 'node/node_modules/bullmq' },
  python: { words: [path.join(examples, 'python/.venv/bin/python'), path.join(examples, 'python/worker.py')], needs: 'python/.venv/bin/python' },
};

export class Example extends Daemon {
  #said = '';

  /** `kind`: `node` or `python`; `env`: its settings. */
  static async start(kind, env) {
    const example = new Example(`example-${kind}`);
    Object.assign(example, { kind, env });
    await example.restart();
    return example;
  }

  heard(text) {
    super.heard(text);
    this.#said += text;
  }

  /** Starts it once more after it was killed or ended. */
  async restart() {
    const { words, needs } = kinds[this.kind];
    if (!existsSync(path.join(examples, needs))) throw new Error(`${needs} is missing in ${examples}: make modules`);
    this.#said = '';
    await this.run(words, () => {
      if (!this.#said.includes('working')) throw new Error('it does not say that it works');
    }, { ...process.env, ...this.env });
  }
}
