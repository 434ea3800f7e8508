// A week of support work, with the clients made from the documents: somebody is invited, sets up a second factor, helps a
// user, does something wrong and undoes it, and what was done is found in the audit log.
import assert from 'node:assert/strict';
import createClient from 'openapi-fetch';

import type { paths } from './generated/backoffice.ts';
import type { paths as clientPaths } from './generated/client.ts';
import { mailedInvitation } from './mailbox.ts';
import { bearer, ok, refused, setting } from './support.ts';
import { currentStep, totp } from './totp.ts';

const api = createClient<paths>({ baseUrl: setting('TWOFOLD_BASE') });
const app = createClient<clientPaths>({ baseUrl: setting('TWOFOLD_BASE') });
const password = setting('TWOFOLD_PASSWORD');
const email = 'linus@support.example.com';
const customer = 'ada@example.com';

// Monday: the head of support invites somebody, who chooses a password and sets up a second factor.
const head = await (async () => {
  const login = { body: { email: 'grace@example.com', password } };
  const answer = ok(await api.POST('/api/v1/backoffice/auth/login', login)).data;
  return 'access_token' in answer ? bearer(answer.access_token) : assert.fail('no factor is set up');
})();
const { items: roles } = ok(
  await api.GET('/api/v1/backoffice/roles', { ...head, params: { query: { q: 'support' } } }),
).data;
const role = roles.find(({ name }) => name === 'support') ?? assert.fail('it is shipped');
const invite = { ...head, body: { email, name: 'Linus', role_ids: [role.id] } };
const invitation = ok(await api.POST('/api/v1/backoffice/invitations', invite)).data;
refused(await api.POST('/api/v1/backoffice/invitations', invite), 409, 'invitation_pending');
const older = await mailedInvitation(email);
const resend = { ...head, params: { path: { id: invitation.id } } };
ok(await api.POST('/api/v1/backoffice/invitations/{id}/resend', resend));
const chosen = 'a phrase of my own, Linus';
const accept = (token: string) =>
  api.POST('/api/v1/backoffice/invitations/accept', { body: { token, password: chosen } });
const newer = await mailedInvitation(email);
refused(await accept(older), 422, 'invalid_invitation');
ok(await accept(newer));

const first = ok(
  await api.POST('/api/v1/backoffice/auth/login', { body: { email, password: chosen } }),
).data;
const fresh = 'access_token' in first ? bearer(first.access_token) : assert.fail('no factor yet');
const { secret } = ok(await api.POST('/api/v1/backoffice/auth/mfa/totp', fresh)).data;
const confirm = { ...fresh, body: { code: totp(secret, currentStep()) } };
ok(await api.POST('/api/v1/backoffice/auth/mfa/totp/confirm', confirm));
ok(await api.POST('/api/v1/backoffice/auth/logout', fresh));

// Tuesday: signed in with it, and shown what is allowed and nothing else.
const support = await (async () => {
  const login = { body: { email, password: chosen } };
  const answer = ok(await api.POST('/api/v1/backoffice/auth/login', login)).data;
  const challenge_token =
    'challenge_token' in answer ? answer.challenge_token : assert.fail('a factor is asked for');
  // The code of the step to come is taken, too.
  const body = { challenge_token, code: totp(secret, currentStep() + 1) };
  return bearer(ok(await api.POST('/api/v1/backoffice/auth/login/mfa', { body })).data.access_token);
})();
const me = ok(await api.GET('/api/v1/backoffice/auth/me', support)).data;
assert.deepEqual(me.roles.map(({ name }) => name), ['support']);
assert.ok(me.permissions.includes('users:impersonate') && !me.permissions.includes('roles:write'));
refused(await api.GET('/api/v1/backoffice/admins', support), 403, 'permission_denied');

// Wednesday: a user is found, looked into and suspended until the question is answered.
const query = { q: 'ada@exam', status: 'active' as const };
const found = ok(await api.GET('/api/v1/backoffice/users', { ...support, params: { query } })).data;
const user = found.items.find((one) => one.email === customer) ?? assert.fail('she is there');
const path = { id: user.id };
const of = { ...support, params: { path } };
const signIn = async () => {
  const answer = await app.POST('/api/v1/auth/login', { body: { email: customer, password } });
  const tokens = ok(answer).data;
  return 'access_token' in tokens ? bearer(tokens.access_token) : assert.fail('no factor is set up');
};
let theirs = await signIn();
const note = { ...of, body: { text: 'Asks where her orders are.' } };
ok(await api.POST('/api/v1/backoffice/users/{id}/notes', note));
const read = await api.GET('/api/v1/backoffice/users/{id}', of);
const tag = read.response.headers.get('etag') ?? assert.fail('it has one');
const until = new Date(Date.now() + 3_600_000).toISOString();
const suspend = (reason: string) =>
  api.POST('/api/v1/backoffice/users/{id}/suspend', {
    ...support,
    params: { path, header: { 'If-Match': tag } },
    body: { reason, until },
  });
const suspended = ok(await suspend('Orders in her name, which are not hers.')).data;
assert.equal(suspended.status, 'suspended');
refused(await app.GET('/api/v1/users/me', theirs), 403, 'account_suspended');
// Whoever looks at how it was before is told.
refused(await suspend('The same, seen by somebody else.'), 412, 'precondition_failed');

// Thursday: a list for the sales department.
const csv = await api.GET('/api/v1/backoffice/users/export', {
  ...support,
  params: { query: { status: 'suspended' } },
  parseAs: 'text',
});
const lines = String(ok(csv)).trim().split(/\r?\n/);
assert.ok(lines[0]?.includes('email') && lines.some((line) => line.includes(customer)));

// Friday: it was a mistake. What she sees is seen, and nothing of it changed.
const undo = { ...of, body: { reason: 'A mistake: they are hers.' } };
ok(await api.POST('/api/v1/backoffice/users/{id}/reactivate', undo));
theirs = await signIn();
const because = { ...of, body: { reason: 'She sees no orders.' } };
const acting = ok(await api.POST('/api/v1/backoffice/users/{id}/impersonate', because)).data;
const as = bearer(acting.access_token);
assert.equal(ok(await app.GET('/api/v1/users/me', as)).data.email, customer);
const change = { ...as, body: { name: 'Somebody else' } };
refused(await app.PATCH('/api/v1/users/me', change), 403, 'impersonation_forbidden');
const seen = ok(await app.GET('/api/v1/auth/sessions', theirs)).data.items;
assert.deepEqual(
  seen.filter(({ is_impersonation }) => is_impersonation).map(({ id }) => id),
  [acting.session_id],
);
ok(await api.DELETE('/api/v1/backoffice/users/{id}/impersonate', of));
refused(await app.GET('/api/v1/users/me', as), 401, 'session_ended');

// The trail: what was done to her, and by whom.
const trail = async (page: { per_page: number; cursor?: string }) => {
  const query = { subject: `user:${user.id}`, actor_id: me.id, sort: 'created_at', ...page };
  return ok(await api.GET('/api/v1/backoffice/audit-logs', { ...support, params: { query } })).data;
};
const actions: string[] = [];
for (let cursor: string | undefined; ; ) {
  const some = await trail({ per_page: 2, ...(cursor && { cursor }) });
  actions.push(...some.items.map(({ action }) => action));
  cursor = some.next_cursor;
  if (!cursor) break;
}
assert.deepEqual(actions, [
  'user.note_written',
  'user.suspended',
  'user.reactivated',
  'user.impersonated',
  'user.impersonation_ended',
]);
const [entry] = (await trail({ per_page: 100 })).items.filter(
  ({ action }) => action === 'user.suspended',
);
assert.equal(entry?.reason, 'Orders in her name, which are not hers.');
const everything = await api.GET('/api/v1/backoffice/audit-logs/export', support);
refused(everything, 403, 'permission_denied');

// The end of the week: the account of who did it is closed, at once.
const close = { ...head, params: { path: { id: me.id } } };
ok(await api.POST('/api/v1/backoffice/admins/{id}/deactivate', close));
const closed = await api.GET('/api/v1/backoffice/auth/me', support);
assert.ok(closed.response.status === 401 || closed.response.status === 403);
console.log('support: a week done');
