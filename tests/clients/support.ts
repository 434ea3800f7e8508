// What both walks need: answers that must have succeeded, or failed in a known way.
import assert from 'node:assert/strict';

/** What openapi-fetch returns: data of a success, or the envelope of a failure. */
type Outcome<D, E> = { data?: D; error?: E; response: Response };

/** The data of a success. */
export function ok<D, E>({ data, error, response }: Outcome<D, E>): D {
  assert.ok(response.ok, `${response.url}: ${response.status} ${JSON.stringify(error)}`);
  return data as D;
}

/** Fails unless the call failed with this status and identifier. */
export function refused<D, E extends { error: string; request_id: string }>(
  { error, response }: Outcome<D, E>,
  status: number,
  identifier: string,
): E {
  assert.equal(response.status, status);
  assert.ok(error);
  assert.equal(error.error, identifier);
  assert.equal(error.request_id, response.headers.get('x-request-id'));
  return error;
}

/** A variable of the environment. */
export function setting(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

export function bearer(token: string): { headers: { Authorization: string } } {
  return { headers: { Authorization: `Bearer ${token}` } };
}
