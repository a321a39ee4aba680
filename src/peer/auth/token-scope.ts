/**
 * What a token allows: `resource:action` or `resource:action:/path`, where a path may end in `/**` for all below it.
 * Paths are in one normal form (absolute, no empty, `.` or `..` parts), so that "is within" is a comparison of text.
 */

/** Letters and digits, then the same; then optionally a path. */
const form = /^[a-z]{1,16}:[a-z]{1,16}(:\/[^\0]{0,480})?$/

export interface Scope {
  /** `resource:action`. */
  readonly name: string
  /** Path parts; undefined when the scope is about everything of its name. */
  readonly path: readonly string[] | undefined
  /** True for `/**`: everything below, and the path itself. */
  readonly isTree: boolean
}

/** @returns undefined for anything that is not a scope in its normal form. */
export function parseScope(text: string): Scope | undefined {
  if (text.length > 512 || !form.test(text) || !text.isWellFormed()) return undefined
  const [resource = '', action = '', ...rest] = text.split(':')
  const name = `${resource}:${action}`
  if (rest.length === 0) return { name, path: undefined, isTree: false }
  const parts = rest.join(':').slice(1).split('/')
  const isTree = parts.at(-1) === '**'
  if (isTree) parts.pop()
  // `/` alone is the root itself
  const path = parts.length === 1 && parts[0] === '' ? [] : parts
  const isNormal = path.every((part) => part !== '' && part !== '.' && part !== '..' && !part.includes('*'))
  return isNormal ? { name, path, isTree } : undefined
}

/** True when `wide` allows all that `narrow` allows. */
export function coversScope(wide: Scope, narrow: Scope): boolean {
  if (wide.name !== narrow.name) return false
  const { path } = wide
  if (path === undefined) return true
  if (narrow.path === undefined || narrow.path.length < path.length) return false
  if (!path.every((part, index) => narrow.path?.[index] === part)) return false
  return wide.isTree || (narrow.path.length === path.length && !narrow.isTree)
}

/** True when some one of `held` covers `needed`; a text that is no scope covers nothing and is covered by nothing. */
export function isCovered(needed: string, held: readonly string[]): boolean {
  const narrow = parseScope(needed)
  if (narrow === undefined) return false
  return held.some((text) => {
    const wide = parseScope(text)
    return wide !== undefined && coversScope(wide, narrow)
  })
}
