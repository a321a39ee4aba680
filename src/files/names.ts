/**
 * Which names may stand in a space, as pure functions. A name of the document is one path component: NFC, at most
 * 255 bytes of UTF-8, no separator, no NUL, neither '.' nor '..'. What a particular disk cannot hold beyond that is
 * that device's own matter and never travels.
 */
import { limits } from '../base/limits.ts'
import { fitName } from '../crdt/view.ts'

/** Our folder inside each root: staging, versions, marker. Never synced under any spelling. */
export const internalFolder = '.skein'
/** Contents on their way to their places; a file there has no place yet. */
export const stagingFolder = `${internalFolder}/tmp`
export const ignoreFile = '.skeinignore'
/** Names of files set aside for a moment while a ring of renames is undone. */
export const parkedPrefix = '.skein-parked-'

export type NameProblem =
  | 'empty'
  | 'dots'
  | 'separator'
  | 'nul'
  | 'too-long'
  | 'not-unicode'
  | 'not-nfc'
  | 'reserved'

const encoder = new TextEncoder()

/** Why `name` cannot be a component of a document path, or undefined when it can. */
export function nameProblem(name: string): NameProblem | undefined {
  if (name === '') return 'empty'
  if (name === '.' || name === '..') return 'dots'
  if (name.includes('/')) return 'separator'
  if (name.includes('\0')) return 'nul'
  if (!name.isWellFormed()) return 'not-unicode'
  if (name.length * 3 > limits.pathNameBytes && encoder.encode(name).byteLength > limits.pathNameBytes)
    return 'too-long'
  if (isInternal(name)) return 'reserved'
  if (!isAscii(name) && name.normalize('NFC') !== name) return 'not-nfc'
  return undefined
}

/** Why a whole relative path cannot be used, or undefined. '' is the root and fine. */
export function pathProblem(path: string): NameProblem | 'too-deep' | undefined {
  if (path === '') return undefined
  const parts = path.split('/')
  if (parts.length > limits.pathDepth) return 'too-deep'
  for (const part of parts) {
    const problem = nameProblem(part)
    if (problem !== undefined) return problem
  }
  return undefined
}

/**
 * True for our own folder, also in spellings that case-insensitive or normalising disks take for it: a peer must not
 * reach staging or versions through `.SKEIN`, a zero-width joiner (HFS+ ignores it) or a trailing dot or space (NTFS).
 */
export function isInternal(name: string): boolean {
  const first = name.charCodeAt(0)
  if (name.length < 6 && first < 0x80) return false
  if (first !== 0x2e && first < 0x80) return false
  const folded = foldName(name)
    .replace(ignorable, '')
    .replace(/[. ]+$/, '')
  return folded === internalFolder || folded.startsWith('.skein:') || folded.startsWith(parkedPrefix)
}

// Code points that HFS+ drops when it compares names
const ignorable = /\u200c|\u200d|\u200e|\u200f|[\u202a-\u202e]|[\u206a-\u206f]|\ufeff/g

/** The key under which names collide on disks that fold case or normalise (P20): NFKD, lower case, then NFC. */
export function foldName(name: string): string {
  if (isAscii(name)) return name.toLowerCase()
  return name.normalize('NFKD').toUpperCase().toLowerCase().normalize('NFC')
}

/**
 * What a file is called in the document whose name another one beside it has already in another Unicode form: disks that keep
 * names as they are can hold both, the document has one form only.
 */
export function otherFormName(name: string, isTaken: (name: string) => boolean): string {
  const dot = name.lastIndexOf('.')
  const [stem, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, '']
  for (let count = 1; ; count++) {
    const found = fitName(stem, ` (other form${count === 1 ? '' : ` ${count}`})`, extension)
    if (!isTaken(found)) return found
  }
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return false
  return true
}

/** A sentence for a person about a name problem. */
export function explainNameProblem(problem: NameProblem | 'too-deep'): string {
  const texts: Readonly<Record<NameProblem | 'too-deep', string>> = {
    empty: 'the name is empty',
    dots: 'the name is "." or ".."',
    separator: 'the name contains a slash',
    nul: 'the name contains a NUL byte',
    'too-long': `the name is longer than ${limits.pathNameBytes} bytes`,
    'not-unicode': 'the name is not valid UTF-8',
    'not-nfc': 'the name is not in composed (NFC) form',
    reserved: 'the name is reserved for Skein',
    'too-deep': `the path is deeper than ${limits.pathDepth} directories`,
  }
  return texts[problem]
}
