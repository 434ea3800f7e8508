// The whole life of an account, with the client made from the document.
import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import createClient from 'openapi-fetch';

import type { paths } from './generated/client.ts';
import { mailedCode, mailedToken, told } from './mailbox.ts';
import { bearer, ok, refused, setting } from './support.ts';
import { currentStep, totp } from './totp.ts';

const api = createClient<paths>({ baseUrl: setting('TWOFOLD_BASE') });
const first = 'life@example.com';
const second = 'life@new.example.com';
let email = first;
let password = 'correct horse battery';

/** Signs in where no second factor is asked for. */
async function signIn(device_name: string, device_token?: string) {
  const body = { email, password, device_name, ...(device_token && { device_token }) };
  const answer = ok(await api.POST('/api/v1/auth/login', { body })).data;
  return 'access_token' in answer ? answer : assert.fail('a second factor is asked for');
}

/** The challenge of a sign-in where one is. */
async function challenge(): Promise<string> {
  const answer = ok(await api.POST('/api/v1/auth/login', { body: { email, password } })).data;
  return 'challenge_token' in answer ? answer.challenge_token : assert.fail('none is asked for');
}

// Registered, verified, signed in to.
const registration = { email, password, name: 'Ada', locale: 'en-GB' };
ok(await api.POST('/api/v1/auth/register', { body: registration }));
refused(
  await api.POST('/api/v1/auth/verify-email', {
    body: { email, password: 'not the one registered', code: await mailedCode(email) },
  }),
  422,
  'invalid_code',
);
ok(await api.POST('/api/v1/auth/resend-code', { body: { email } }));
const proof = { email, password, code: await mailedCode(email) };
ok(await api.POST('/api/v1/auth/verify-email', { body: proof }));
await told(email, 'Welcome');
const phone = await signIn('phone');
const laptop = await signIn('laptop');
await told(email, 'New sign-in');
await signIn('phone again', phone.device_token);
const token = phone.access_token;

// A profile.
const profile = { name: 'Ada Lovelace', time_zone: 'Europe/London' };
const me = ok(await api.PATCH('/api/v1/users/me', { ...bearer(token), body: profile })).data;
assert.deepEqual([me.name, me.locale, me.time_zone], ['Ada Lovelace', 'en-GB', 'Europe/London']);

// Sessions: three, of which one is ended from another.
const { items: sessions } = ok(await api.GET('/api/v1/auth/sessions', bearer(token))).data;
assert.equal(sessions.length, 3);
const ended = sessions.find(({ device_name }) => device_name === 'laptop') ?? assert.fail();
const path = { params: { path: { id: ended.id } } };
ok(await api.DELETE('/api/v1/auth/sessions/{id}', { ...path, ...bearer(token) }));
refused(await api.GET('/api/v1/users/me', bearer(laptop.access_token)), 401, 'session_ended');
const refreshed = { body: { refresh_token: laptop.refresh_token } };
refused(await api.POST('/api/v1/auth/refresh', refreshed), 401, 'session_ended');

// What has happened is told.
const { items: notices } = ok(await api.GET('/api/v1/notifications', bearer(token))).data;
assert.deepEqual(notices.map(({ kind }) => kind), ['new_device']);
const notice = notices[0] ?? assert.fail();
assert.equal(notice.details.device_name, 'laptop');
const one = { params: { path: { id: notice.id } } };
ok(await api.POST('/api/v1/notifications/{id}/read', { ...one, ...bearer(token) }));
const { unread } = ok(await api.GET('/api/v1/notifications/unread', bearer(token))).data;
assert.equal(unread, 0);

// A second factor, which sign-ins ask for.
ok(await api.POST('/api/v1/auth/step-up', { ...bearer(token), body: { password } }));
const { secret } = ok(await api.POST('/api/v1/auth/mfa/totp', bearer(token))).data;
const confirm = { ...bearer(token), body: { code: totp(secret, currentStep()) } };
const { recovery_codes } = ok(await api.POST('/api/v1/auth/mfa/totp/confirm', confirm)).data;
assert.equal(recovery_codes.length, 10);
await told(email, 'Your second factor was set up');
const [recovery_code = ''] = recovery_codes;
const complete = async (code: string) => {
  const body = { challenge_token: await challenge(), code };
  return api.POST('/api/v1/auth/login/mfa', { body });
};
refused(await complete(confirm.body.code), 422, 'invalid_second_factor');
ok(await complete(recovery_code));
refused(await complete(recovery_code), 422, 'invalid_second_factor');
// The code of the step to come is taken, too: nobody's clock is right.
ok(await complete(totp(secret, currentStep() + 1)));
const { recovery_codes_left } = ok(await api.GET('/api/v1/auth/mfa', bearer(token))).data;
assert.equal(recovery_codes_left, 9);

// Another password, with which the other sessions end.
const next = 'staple battery horse';
const change = { current_password: password, new_password: next };
ok(await api.POST('/api/v1/users/me/change-password', { ...bearer(token), body: change }));
password = next;
await told(email, 'Your password was changed');
const left = ok(await api.GET('/api/v1/auth/sessions', bearer(token))).data;
assert.deepEqual(left.items.map(({ is_current }) => is_current), [true]);

// Another address.
const address = { ...bearer(token), body: { email: second } };
ok(await api.POST('/api/v1/users/me/change-email', address));
const arrived = { ...bearer(token), body: { code: await mailedCode(second) } };
ok(await api.POST('/api/v1/users/me/change-email/confirm', arrived));
await told(first, 'Your account has another address');
email = second;
assert.equal(ok(await api.GET('/api/v1/users/me', bearer(token))).data.email, second);

// The factor is lost, and with it a recovery code is used; then the password is forgotten.
ok(await api.DELETE('/api/v1/auth/mfa/totp', bearer(token)));
await told(email, 'Your second factor was removed');
ok(await api.POST('/api/v1/auth/forgot-password', { body: { email } }));
password = 'horse battery staple';
const reset = { token: await mailedToken(email), new_password: password };
ok(await api.POST('/api/v1/auth/reset-password', { body: reset }));
refused(await api.GET('/api/v1/users/me', bearer(token)), 401, 'session_ended');

// A stolen refresh token, used again after its grace.
const stolen = await signIn('stolen', phone.device_token);
const body = { refresh_token: stolen.refresh_token };
const successor = ok(await api.POST('/api/v1/auth/refresh', { body })).data;
await setTimeout(10_500);
refused(await api.POST('/api/v1/auth/refresh', { body }), 401, 'refresh_token_reused');
const lost = bearer(successor.access_token);
refused(await api.GET('/api/v1/users/me', lost), 401, 'session_ended');
await told(email, 'A session of your account was ended');

// Deleted, thought better of, and signed out.
const farewell = bearer((await signIn('farewell', phone.device_token)).access_token);
ok(await api.DELETE('/api/v1/users/me', farewell));
refused(await api.GET('/api/v1/users/me', farewell), 401, 'session_ended');
await told(email, 'Your account is going to be deleted');
const back = bearer((await signIn('back', phone.device_token)).access_token);
assert.ok(ok(await api.GET('/api/v1/users/me', back)).data.deletion_due_at);
const stays = ok(await api.POST('/api/v1/users/me/cancel-deletion', back)).data;
assert.equal(stays.deletion_due_at, undefined);
await told(email, 'Your account stays');
ok(await api.POST('/api/v1/notifications/read', back));
ok(await api.POST('/api/v1/auth/logout', { ...back, body: { scope: 'global' } }));
refused(await api.GET('/api/v1/users/me', back), 401, 'session_ended');
console.log('account: lived');
