// The walk of the README through the backoffice API, with the client made from its document.
import assert from 'node:assert/strict';
import createClient from 'openapi-fetch';

import type { components, paths } from './generated/backoffice.ts';
import { bearer, ok, refused, setting } from './support.ts';

type User = components['schemas']['ManagedUser'];

const api = createClient<paths>({ baseUrl: setting('TWOFOLD_BASE') });
const email = 'grace@example.com';
const password = setting('TWOFOLD_PASSWORD');

const wrong = { body: { email, password: 'something else' } };
refused(await api.POST('/api/v1/backoffice/auth/login', wrong), 401, 'invalid_credentials');
const login = { body: { email, password } };
const signedIn = ok(await api.POST('/api/v1/backoffice/auth/login', login)).data;
let tokens: { access_token: string; refresh_token: string } =
  'access_token' in signedIn ? signedIn : assert.fail('a second factor is asked for');
const refresh = { body: { refresh_token: tokens.refresh_token } };
tokens = ok(await api.POST('/api/v1/backoffice/auth/refresh', refresh)).data;
const staff = bearer(tokens.access_token);
const me = ok(await api.GET('/api/v1/backoffice/auth/me', staff)).data;
assert.equal(me.email, email);
assert.equal(me.is_super_admin, true);
assert.ok(me.permissions.includes('users:suspend'));

type Query = NonNullable<paths['/api/v1/backoffice/users']['get']['parameters']['query']>;
const list = async (query: Query) =>
  ok(await api.GET('/api/v1/backoffice/users', { ...staff, params: { query } })).data;

// Pages hold everybody once, in order.
const users: User[] = [];
for (let page = 1; page <= 10; page += 1) {
  const found = await list({ q: 'demo.example', sort: '-email', page, per_page: 20 });
  users.push(...found.items);
  assert.equal(found.total, 50);
  assert.equal(found.has_more, page < 3);
  if (!found.has_more) break;
}
const addresses = users.map((user) => user.email);
assert.deepEqual(addresses, [...new Set(addresses)].sort().reverse());
assert.equal(addresses.length, 50);
const bad = { ...staff, params: { query: { per_page: 1000 } } };
refused(await api.GET('/api/v1/backoffice/users', bad), 422, 'validation_failed');

const user = users.find((candidate) => candidate.status === 'active');
assert.ok(user);
const path = { id: user.id };
const reason = { ...staff, params: { path }, body: { reason: 'Just a walk.' } };
const suspended = ok(await api.POST('/api/v1/backoffice/users/{id}/suspend', reason)).data;
assert.equal(suspended.status, 'suspended');
assert.equal(suspended.status_reason, 'Just a walk.');
const again = await api.POST('/api/v1/backoffice/users/{id}/suspend', reason);
refused(again, 409, 'user_already_suspended');
ok(await api.POST('/api/v1/backoffice/users/{id}/reactivate', reason));
const read = ok(await api.GET('/api/v1/backoffice/users/{id}', { ...staff, params: { path } })).data;
assert.equal(read.status, 'active');
const nobody = { id: '01975b2e-7c40-7000-8000-000000000001' };
const missing = { ...staff, params: { path: nobody } };
refused(await api.GET('/api/v1/backoffice/users/{id}', missing), 404, 'not_found');

// What recurs runs now, and its job is found, with what it was told.
const [schedule] = ok(await api.GET('/api/v1/backoffice/schedules', staff)).data.schedules;
assert.ok(schedule);
const named = { ...staff, params: { path: { name: schedule.name } } };
const started = ok(await api.POST('/api/v1/backoffice/schedules/{name}/run', named)).data;
const startedJob = { ...staff, params: { path: { id: started.id } } };
const job = ok(await api.GET('/api/v1/backoffice/jobs/{id}', startedJob)).data;
assert.equal(job.id, started.id);
assert.ok(job.payload);
const { queues } = ok(await api.GET('/api/v1/backoffice/queues', staff)).data;
assert.ok(queues.some((queue) => queue.name === job.queue && queue.is_known));
const off = { ...named, body: { enabled: false } };
assert.equal(ok(await api.PATCH('/api/v1/backoffice/schedules/{name}', off)).data.enabled, false);
const none = { ...staff, body: { kind: 'of no kind' } };
assert.equal(ok(await api.POST('/api/v1/backoffice/jobs/retry-failed', none)).data.retried, 0);

ok(await api.POST('/api/v1/backoffice/auth/logout', staff));
refused(await api.GET('/api/v1/backoffice/auth/me', staff), 401, 'session_ended');
console.log('backoffice: walked');
