/** Words of a person that name paths or moments, made whole. */
import { resolve } from 'node:path'
import { SkeinError } from '../base/errors.ts'
import { parseSpan } from './commands/token.ts'

/** Absolute, from where the person stands; a trailing slash says that a directory is meant and stays. */
export function absolutePath(word: string): string {
  const path = resolve(word)
  return /[/\\]$/.test(word) && path !== '/' ? `${path}/` : path
}

/**
 * `2h` (that long ago), or a date and time as `2026-11-21`, `2026-11-21 14:30`, in this machine's time zone.
 * @throws `usage`.
 */
export function parseMoment(text: string): number {
  if (/^\d+\s*[a-z]+$/.test(text)) return Date.now() - parseSpan(text)
  const atMs = Date.parse(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00` : text.replace(' ', 'T'))
  if (Number.isFinite(atMs) && atMs >= 0) return atMs
  throw new SkeinError('usage', `"${text}" is no time`, {
    fix: 'such as 2h, 2026-11-21 or "2026-11-21 14:30"',
  })
}
