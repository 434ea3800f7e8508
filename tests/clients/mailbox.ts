// The outbox of the program, as its users' mailboxes.
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { setting } from './support.ts';

const read = new Set<string>();

/** Without what quoted-printable puts into long lines and in place of `=` (RFC 2045, 6.7). */
const decoded = (mail: string) =>
  mail
    .replace(/=\r?\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

/** What the pattern finds in the next mail to this address that has it; each mail is found once. */
export async function mailed(address: string, pattern: RegExp): Promise<string> {
  const outbox = setting('TWOFOLD_OUTBOX');
  for (let attempt = 0; attempt < 100; attempt += 1) {
    // Others are still being written.
    const mails = (await readdir(outbox)).filter((name) => name.endsWith('.eml'));
    for (const name of mails.sort()) {
      if (read.has(name)) continue;
      const mail = decoded(await readFile(join(outbox, name), 'utf8'));
      const found = pattern.exec(mail)?.[1];
      if (found && new RegExp(`^To: .*${address}`, 'm').test(mail)) {
        read.add(name);
        return found;
      }
    }
    await setTimeout(100);
  }
  return assert.fail(`no mail like ${pattern} has come to ${address}`);
}

/** The six digits of the next mail to this address. */
export const mailedCode = (address: string) => mailed(address, /^your code is: (\d{6})/m);

/** The token of the next mail to this address. */
export const mailedToken = (address: string) => mailed(address, /^([0-9a-f]{64})\s*$/m);

/** Waits for a mail of this subject. */
export const told = (address: string, subject: string) =>
  mailed(address, new RegExp(`^Subject: (${subject})`, 'm'));

/** The token in the link of the next invitation to this address. */
export const mailedInvitation = (address: string) =>
  mailed(address, /invitation\?token=([0-9A-Za-z_-]+)/);
