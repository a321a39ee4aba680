/** Programmer errors: a broken assumption stops the work at once. Asserts stay on in production. */

/** @throws Error when the condition does not hold: a bug here, not a fault outside. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`)
}
