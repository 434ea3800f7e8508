// The walk of the README through the client API, with the client made from its document.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import createClient from 'openapi-fetch';

import type { paths } from './generated/client.ts';
import { mailedCode } from './mailbox.ts';
import { bearer, ok, refused, setting } from './support.ts';

const api = createClient<paths>({ baseUrl: setting('TWOFOLD_BASE') });
const email = 'countess@example.com';
const password = 'correct horse battery';

/** The tokens of a login that asks for no second factor. */
async function signIn() {
  const answer = ok(await api.POST('/api/v1/auth/login', { body: { email, password } })).data;
  return 'access_token' in answer ? answer : assert.fail('a second factor is asked for');
}

const health = ok(await api.GET('/api/v1/config/health')).data;
assert.equal(health.status, 'healthy');
assert.equal(health.services.database.status, 'embedded');
const releases = ok(await api.GET('/api/v1/config/release')).data;
assert.deepEqual(releases.platforms.map((release) => release.platform).sort(), ['android', 'ios']);

const body = { email, password, name: 'Ada' };
const bad = refused(
  await api.POST('/api/v1/auth/register', { body: { ...body, email: 'nope' } }),
  422,
  'validation_failed',
);
assert.deepEqual(bad.errors?.map(({ field, error }) => [field, error]), [['email', 'email']]);
const once = { params: { header: { 'Idempotency-Key': randomUUID() } }, body };
ok(await api.POST('/api/v1/auth/register', once));
const repeated = await api.POST('/api/v1/auth/register', once);
ok(repeated);
assert.equal(repeated.response.headers.get('idempotency-replayed'), 'true');
const early = await api.POST('/api/v1/auth/login', { body: { email, password } });
refused(early, 401, 'invalid_credentials');
const proof = { email, password, code: await mailedCode(email) };
ok(await api.POST('/api/v1/auth/verify-email', { body: proof }));

let tokens: { access_token: string; refresh_token: string } = await signIn();
const me = ok(await api.GET('/api/v1/users/me', bearer(tokens.access_token))).data;
assert.equal(me.email, email);
assert.equal(me.name, 'Ada');
assert.equal(me.email_verified, true);
const changed = await api.PATCH('/api/v1/users/me', {
  ...bearer(tokens.access_token),
  body: { name: null },
});
assert.equal(ok(changed).data.name, undefined);

const refresh = { body: { refresh_token: tokens.refresh_token } };
tokens = ok(await api.POST('/api/v1/auth/refresh', refresh)).data;
ok(await api.POST('/api/v1/auth/logout', bearer(tokens.access_token)));
refused(await api.GET('/api/v1/users/me', bearer(tokens.access_token)), 401, 'session_ended');
refused(await api.GET('/api/v1/users/me'), 401, 'unauthenticated');
console.log('client: walked');
