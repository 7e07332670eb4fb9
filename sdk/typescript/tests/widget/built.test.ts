/** The file that the server embeds is what its source builds. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

const PACKAGE = new URL('../../', import.meta.url).pathname;
const COMMITTED = join(PACKAGE, '../../static/signin-button.js');

test('the committed button is built from this source, and small', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'auth-agent-widget-'));
  try {
    const built = join(folder, 'signin-button.js');
    await promisify(execFile)('npm', ['run', '--silent', 'build:widget', '--', `--outfile=${built}`], {
      cwd: PACKAGE,
    });
    const committed = await readFile(COMMITTED, 'utf8');
    assert.equal(committed, await readFile(built, 'utf8'), 'run `npm run build:widget` and commit the file');
    // In bytes; what travels where proxies compress, and at most.
    assert.ok(gzipSync(committed).length < 5 * 1024, `${gzipSync(committed).length}`);
    assert.ok(committed.length < 11.5 * 1024, `${committed.length}`);
  } finally {
    await rm(folder, { recursive: true });
  }
});
