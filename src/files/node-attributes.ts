/**
 * Extended attributes of files on a real disk: `user.` ones and the access list, as the text that travels
 * (crdt/file-attributes.ts). Linux only so far: elsewhere the names mean other things, and what others told is kept but not
 * set. Never follows a symlink. Others (security., trusted.) are the disk's own and are left alone.
 */
import { lstatSync } from 'node:fs'
import { createRequire } from 'node:module'
import type * as xattr from '@napi-rs/xattr'
import { accessListName, formatAttributes, parseAttributes } from '../crdt/file-attributes.ts'
import { accessListBytes, accessListText, createPeople } from './access-list.ts'
import type { HeldAttributes } from './filesystem.ts'

const aclKey = 'system.posix_acl_access'
/** Below this nothing can be too long for its place in the text. */
const userPrefix = 'user.'
const people = createPeople()
let library: typeof xattr | 'none' | undefined

/** A binary part: present where the package has one for this system. */
function xattrs(): typeof xattr | undefined {
  library ??= load()
  return library === 'none' ? undefined : library
}

function load(): typeof xattr | 'none' {
  if (process.platform !== 'linux') return 'none'
  try {
    // because: the package's own types
    return createRequire(import.meta.url)('@napi-rs/xattr') as typeof xattr
  } catch {
    // because: no binary for this system; files are synced without
    return 'none'
  }
}

/** @param absolute of a file that is known to be there. @returns undefined when nothing can be told about it. */
export function readAttributes(absolute: string): HeldAttributes {
  const found = xattrs()
  if (found === undefined) return undefined
  try {
    const names = found.listAttributesSync(absolute)
    if (names.length === 0) return ''
    const attributes = new Map<string, Uint8Array>()
    for (const name of names) {
      if (!name.startsWith(userPrefix) && name !== aclKey) continue
      const value = found.getAttributeSync(absolute, name)
      if (value === null) continue
      const list = name === aclKey ? accessListText(value, people) : undefined
      if (list !== undefined) attributes.set(accessListName, new TextEncoder().encode(list))
      else if (name !== aclKey) attributes.set(name, value)
    }
    return formatAttributes(attributes) ?? ''
  } catch (error) {
    return isWithout(error) ? '' : undefined
  }
}

/** Makes them these and no others. What the disk refuses is left out. @returns what it has then. */
export function writeAttributes(absolute: string, wanted: string | undefined): HeldAttributes {
  const found = xattrs()
  const current = readAttributes(absolute)
  if (found === undefined || current === undefined || current === (wanted ?? '')) return current
  const before = parseAttributes(current)
  const after = wanted === undefined ? undefined : parseAttributes(wanted)
  const each = (act: () => void): void => {
    try {
      act()
    } catch {
      // because: a disk without them, or without room for them; what it has is looked at below
    }
  }
  for (const name of before?.keys() ?? []) {
    if (after?.has(name) !== true) each(() => found.removeAttributeSync(absolute, keyOf(name)))
  }
  for (const [name, value] of after ?? []) {
    const bytes = name === accessListName ? accessList(absolute, value) : value
    if (bytes !== undefined) each(() => found.setAttributeSync(absolute, keyOf(name), bytes))
  }
  return readAttributes(absolute)
}

const keyOf = (name: string): string => (name === accessListName ? aclKey : name)

function accessList(absolute: string, value: Uint8Array): Uint8Array | undefined {
  const isExecutable = (lstatSync(absolute).mode & 0o100) !== 0
  return accessListBytes(new TextDecoder().decode(value), isExecutable, people)
}

/** ENOTSUP: the library gives no codes, only the number in its message. */
const isWithout = (error: unknown): boolean =>
  error instanceof Error && error.message.includes('(os error 95)')
