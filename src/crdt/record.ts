/**
 * One record of a space's tree: an immutable line of text in a shard document. Grammar, version 1:
 *   record = "1" kind id parent 1*( "|" field )
 *   kind   = "f" file / "d" directory / "l" link / "t" tombstone of a directory / other letter: kept, not understood
 *   fields = writer | lamport | place | versions | hash | size | mtime | mode | base | target | name *( | extension )
 * id and parent are node ids (16 characters). Numbers are base 36, mtime hexadecimal nanoseconds, "" stands for none;
 * place is `lamport@writer`, "" for the record's own; versions is a version vector, "" for {writer: lamport}; "%" and "|"
 * in target and name are written %25 and %7C. The first extension is what a merged version was made from (merge-sides.ts),
 * the second one extended attributes (file-attributes.ts), each empty or left out for none; extensions of later versions
 * travel along verbatim. Records of other versions are kept where they are and left alone. About 130 bytes each: there may
 * be millions.
 */
import { limits } from '../base/limits.ts'
import { attributesOf } from './file-attributes.ts'
import { isNodeId, isWriter, rootNodeId, type NodeId, type Writer } from './node-id.ts'
import { formatVector, lamportMax, parseBase36, parseVector, type VersionVector } from './version-vector.ts'

export type NodeKind = 'file' | 'dir' | 'link' | 'tombstone' | 'unknown'

/** A moment in the life of a node: a higher one is newer; the writer breaks ties. */
export interface Stamp {
  readonly lamport: number
  readonly writer: Writer
}

/** What a node holds, apart from where it is. */
export interface NodeData {
  readonly kind: NodeKind
  /** BLAKE3 of the content as 43 characters of base64url; files only. */
  readonly hash?: string | undefined
  readonly sizeBytes?: number | undefined
  readonly mtimeNs?: bigint | undefined
  /** Permission bits, 0..0o7777. */
  readonly mode?: number | undefined
  /** Text of a symbolic link, 1..1024 bytes. */
  readonly target?: string | undefined
  /** Hash of the content that this one was edited from: the merge base. */
  readonly base?: string | undefined
  /** Extended attributes of a file (file-attributes.ts); undefined for none. */
  readonly attributes?: string | undefined
}

export interface TreeRecord extends NodeData, Stamp {
  readonly id: NodeId
  readonly parent: NodeId
  /** NFC, one path component. */
  readonly name: string
  /** When parent and name were last set. */
  readonly place: Stamp
  readonly versions: VersionVector
  /** The letter of the kind, also of one not understood. */
  readonly kindLetter: string
  /** Fields of a later version, verbatim, with their bars. */
  readonly extension: string
}

export type ParsedRecord =
  | { readonly ok: true; readonly record: TreeRecord }
  | { readonly ok: false; readonly reason: string }

const letters: Readonly<Record<string, NodeKind>> = { f: 'file', d: 'dir', l: 'link', t: 'tombstone' }
const letterOf: Readonly<Record<NodeKind, string>> = {
  file: 'f',
  dir: 'd',
  link: 'l',
  tombstone: 't',
  unknown: '?',
}
/** Of a record, before and after 1970: the year 2554. */
export const mtimeMaxNs = 0xffff_ffff_ffff_ffffn
const hashPattern = /^[A-Za-z0-9_-]{43}$/
const linkTargetBytes = 1024

/** Parses a line of whatever origin. Never throws. */
export function parseRecord(text: string): ParsedRecord {
  try {
    return { ok: true, record: parse(text) }
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : 'not a record' }
  }
}

/** @returns the line. The record must be valid: own records are built from checked parts. */
export function formatRecord(record: TreeRecord): string {
  const { writer, lamport, place, versions } = record
  const isOwnPlace = place.writer === writer && place.lamport === lamport
  const isOwnVersion = versions.size === 1 && versions.get(writer) === lamport
  const fields = [
    `1${record.kindLetter}${record.id}${record.parent}`,
    writer,
    lamport.toString(36),
    isOwnPlace ? '' : `${place.lamport.toString(36)}@${place.writer}`,
    isOwnVersion ? '' : formatVector(versions),
    record.hash ?? '',
    record.sizeBytes?.toString(36) ?? '',
    record.mtimeNs?.toString(16) ?? '',
    record.mode?.toString(36) ?? '',
    record.base ?? '',
    escapeField(record.target ?? ''),
    escapeField(record.name),
  ]
  return fields.join('|') + record.extension
}

export const kindLetter = (kind: NodeKind): string => letterOf[kind]

/** The id of a record without parsing the rest; undefined when it is no record. */
export function idOfRecord(text: string): NodeId | undefined {
  const id = text.slice(2, 18)
  return isNodeId(id) ? id : undefined
}

/** Why a text cannot be the name of an entry, or undefined when it can. */
export function nameProblem(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..') return 'empty or a dot name'
  if (/[/\0]/.test(name)) return 'a slash or NUL in the name'
  if (!name.isWellFormed()) return 'not Unicode'
  if (!fits(name, limits.pathNameBytes)) return 'name too long'
  if (name.normalize('NFC') !== name) return 'name not in NFC'
  return undefined
}

/** The higher of two stamps decides; a total order. */
export function compareStamps(a: Stamp, b: Stamp): number {
  if (a.lamport !== b.lamport) return a.lamport - b.lamport
  return a.writer < b.writer ? -1 : a.writer > b.writer ? 1 : 0
}

function parse(text: string): TreeRecord {
  must(fits(text, limits.treeRecordBytes), 'too long')
  must(text.startsWith('1'), 'unknown version')
  const parts = text.split('|')
  must(parts.length >= 12, 'too few fields')
  const [head = '', writer = '', lamportText = '', place = '', versions = '', hash = ''] = parts
  const [, , , , , , size = '', mtime = '', mode = '', base = '', target = '', name = ''] = parts
  const id = head.slice(2, 18)
  const parent = head.slice(18)
  const letter = head.charAt(1)
  must(/^[a-z]$/.test(letter), 'bad kind')
  must(isNodeId(id) && isNodeId(parent), 'bad id')
  must(id !== rootNodeId && id !== parent, 'impossible place')
  must(isWriter(writer), 'bad writer')
  const lamport = number(lamportText, lamportMax, 'lamport')
  const vector = versions === '' ? new Map([[writer, lamport]]) : parseVector(versions)
  must(vector !== undefined && vector.size > 0, 'bad versions')
  // One line, one form: what may be left out must be
  must(versions === '' || vector.size > 1 || vector.get(writer) !== lamport, 'versions that say nothing')
  must(place !== `${lamportText}@${writer}`, 'a place that says nothing')
  must(
    [...vector.values()].every((entry) => entry <= lamport),
    'versions from the future',
  )
  const kind = letters[letter] ?? 'unknown'
  const extension = parts.length > 12 ? `|${parts.slice(12).join('|')}` : ''
  const data: NodeData = {
    kind,
    hash: hash === '' ? undefined : hashText(hash),
    sizeBytes: size === '' ? undefined : number(size, Number.MAX_SAFE_INTEGER, 'size'),
    mtimeNs: mtime === '' ? undefined : nanoseconds(mtime),
    mode: mode === '' ? undefined : number(mode, 0o7777, 'mode'),
    base: base === '' ? undefined : hashText(base),
    target: target === '' ? undefined : unescapeField(target),
    attributes: parts.length > 13 && kind === 'file' ? attributesOf(extension) : undefined,
  }
  must(kind !== 'file' || (data.hash !== undefined && data.sizeBytes !== undefined), 'a file without content')
  must(
    (kind === 'link') === (data.target !== undefined) || kind === 'unknown',
    'target and kind do not agree',
  )
  must(data.target === undefined || isLinkTarget(data.target), 'bad target')
  const plainName = unescapeField(name)
  const problem = nameProblem(plainName)
  must(problem === undefined, problem ?? '')
  return {
    ...data,
    id,
    parent,
    name: plainName,
    writer,
    lamport,
    place: place === '' ? { lamport, writer } : stamp(place, lamport),
    versions: vector,
    kindLetter: letter,
    extension,
  }
}

function must(condition: boolean, reason: string): asserts condition {
  if (!condition) throw new Error(reason)
}

function number(text: string, max: number, what: string): number {
  const value = parseBase36(text, max)
  must(value !== undefined, `bad ${what}`)
  return value
}

function stamp(text: string, recordLamport: number): Stamp {
  const at = text.indexOf('@')
  const writer = text.slice(at + 1)
  must(at > 0 && isWriter(writer), 'bad place')
  return { lamport: number(text.slice(0, at), recordLamport, 'place'), writer }
}

function hashText(text: string): string {
  must(hashPattern.test(text), 'bad hash')
  return text
}

function nanoseconds(text: string): bigint {
  const match = /^(-?)([1-9a-f][0-9a-f]{0,15})$|^0$/.exec(text)
  must(match !== null, 'bad mtime')
  const value = BigInt(`0x${match[2] ?? '0'}`)
  return match[1] === '-' ? -value : value
}

export function isLinkTarget(target: string): boolean {
  return target !== '' && !target.includes('\0') && target.isWellFormed() && fits(target, linkTargetBytes)
}

const escapeField = (text: string): string => text.replaceAll('%', '%25').replaceAll('|', '%7C')

function unescapeField(text: string): string {
  if (!text.includes('%')) return text
  must(!/%(?!25|7C)/.test(text), 'bad escape')
  return text.replaceAll('%7C', '|').replaceAll('%25', '%')
}

const encoder = new TextEncoder()

/** Whether it takes so many bytes as UTF-8 at most. A UTF-16 unit takes three at most: mostly there is nothing to count. */
const fits = (text: string, maxBytes: number): boolean =>
  text.length * 3 <= maxBytes || (text.length <= maxBytes && encoder.encode(text).byteLength <= maxBytes)
