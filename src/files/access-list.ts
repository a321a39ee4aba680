/**
 * POSIX access lists (ACLs) of files, as a text that travels: with names of people and groups, because their numbers mean
 * others elsewhere. A list that names somebody this device does not know is neither told nor set: half a list could let in
 * whom the whole one keeps out. The text, entries in this order and those of one kind in order of names:
 *   list = entry *( "," entry )    entry = ("u" / "g" / "m" / "o") ":" [ name ] ":" ("r" / "-") ("w" / "-") ("x" / "-")
 * Whether the file is executable is a field of its own (folder-tree.ts), so x of the owner, the mask and others follows that.
 * Format of the kernel: acl(5), linux/posix_acl_xattr.h.
 */
import { readFileSync, statSync } from 'node:fs'

const version = 2
const headBytes = 4
const entryBytes = 8
const noId = 0xffff_ffff

type Kind = 'owner' | 'user' | 'ownGroup' | 'group' | 'mask' | 'others'

const kinds: readonly { readonly kind: Kind; readonly tag: number; readonly letter: string }[] = [
  { kind: 'owner', tag: 1, letter: 'u' },
  { kind: 'user', tag: 2, letter: 'u' },
  { kind: 'ownGroup', tag: 4, letter: 'g' },
  { kind: 'group', tag: 8, letter: 'g' },
  { kind: 'mask', tag: 16, letter: 'm' },
  { kind: 'others', tag: 32, letter: 'o' },
]
const followsMode: ReadonlySet<Kind> = new Set(['owner', 'mask', 'others'])

/** Names of this device, both ways. */
export interface People {
  nameOf(kind: 'user' | 'group', id: number): string | undefined
  idOf(kind: 'user' | 'group', name: string): number | undefined
}

/** @returns undefined for a list that cannot travel. */
export function accessListText(bytes: Uint8Array, people: People): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.byteLength < headBytes || view.getUint32(0, true) !== version) return undefined
  if ((bytes.byteLength - headBytes) % entryBytes !== 0) return undefined
  const entries: { readonly at: number; readonly name: string; readonly text: string }[] = []
  for (let position = headBytes; position < bytes.byteLength; position += entryBytes) {
    const at = kinds.findIndex(({ tag }) => tag === view.getUint16(position, true))
    const found = kinds[at]
    if (found === undefined) return undefined
    const { kind, letter } = found
    const isNamed = kind === 'user' || kind === 'group'
    const name = isNamed ? people.nameOf(kind, view.getUint32(position + 4, true)) : ''
    if (name === undefined) return undefined
    const allowed = view.getUint16(position + 2, true)
    const rights = followsMode.has(kind) ? allowed & 0o6 : allowed
    entries.push({ at, name, text: `${letter}:${encodeURIComponent(name)}:${rightsText(rights)}` })
  }
  entries.sort((a, b) => a.at - b.at || (a.name < b.name ? -1 : 1))
  return entries.map(({ text }) => text).join(',')
}

/** @returns undefined for a text of another form, and for one that names somebody unknown here. */
export function accessListBytes(text: string, isExecutable: boolean, people: People): Uint8Array | undefined {
  const entries: { readonly tag: number; readonly rights: number; readonly id: number }[] = []
  for (const part of text.split(',')) {
    const [, letter, coded = '', rightsPart = ''] = /^([ugmo]):([^:]*):([r-][w-][x-])$/.exec(part) ?? []
    const name = decoded(coded)
    const found = kinds.find(
      ({ kind, letter: own }) => own === letter && (kind === 'user' || kind === 'group') === (name !== ''),
    )
    if (found === undefined || name === undefined) return undefined
    const { kind, tag } = found
    const id = kind === 'user' || kind === 'group' ? people.idOf(kind, name) : noId
    if (id === undefined) return undefined
    const plain = rightsOf(rightsPart)
    const rights = followsMode.has(kind) && isExecutable ? plain | (plain >> 2) : plain
    entries.push({ tag, rights, id })
  }
  entries.sort((a, b) => a.tag - b.tag || a.id - b.id)
  const bytes = new Uint8Array(headBytes + entries.length * entryBytes)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, version, true)
  for (const [index, { tag, rights, id }] of entries.entries()) {
    const position = headBytes + index * entryBytes
    view.setUint16(position, tag, true)
    view.setUint16(position + 2, rights, true)
    view.setUint32(position + 4, id, true)
  }
  return bytes
}

const rightsText = (rights: number): string =>
  `${(rights & 4) === 0 ? '-' : 'r'}${(rights & 2) === 0 ? '-' : 'w'}${(rights & 1) === 0 ? '-' : 'x'}`

const rightsOf = (text: string): number =>
  (text.startsWith('r') ? 4 : 0) | (text.charAt(1) === 'w' ? 2 : 0) | (text.endsWith('x') ? 1 : 0)

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    // because: it throws exactly when the text is not of this form, which is the answer
    return undefined
  }
}

/** The people of /etc/passwd and /etc/group; those of a directory service are not known. */
export function createPeople(directory = '/etc'): People {
  const users = createNames(`${directory}/passwd`)
  const groups = createNames(`${directory}/group`)
  const of = (kind: 'user' | 'group'): NameFile => (kind === 'user' ? users : groups)
  return {
    nameOf: (kind, id) => of(kind).read().byId.get(id),
    idOf: (kind, name) => of(kind).read().byName.get(name),
  }
}

interface Names {
  readonly byId: ReadonlyMap<number, string>
  readonly byName: ReadonlyMap<string, number>
}

interface NameFile {
  read(): Names
}

/** Read again when it has changed. */
function createNames(path: string): NameFile {
  let names: Names = { byId: new Map(), byName: new Map() }
  let readMs: number | undefined
  return {
    read() {
      const changedMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs
      if (changedMs === readMs) return names
      readMs = changedMs
      names = changedMs === undefined ? { byId: new Map(), byName: new Map() } : parseNames(path)
      return names
    },
  }
}

/** Of several names with one number the first counts, as everywhere. */
function parseNames(path: string): Names {
  const byId = new Map<number, string>()
  const byName = new Map<string, number>()
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [name = '', , id = ''] = line.split(':')
    if (name === '' || !/^\d{1,10}$/.test(id)) continue
    if (!byId.has(Number(id))) byId.set(Number(id), name)
    if (!byName.has(name)) byName.set(name, Number(id))
  }
  return { byId, byName }
}
