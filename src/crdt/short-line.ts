/**
 * How a record stands in a shard document: its line (record.ts) with the names of writers, 14 characters each, put short.
 * Version vectors would otherwise grow a line by a third once three devices have written a file. Grammar:
 *   line       = record                       version 1: in full; always allowed
 *              / "2" kind id parent "|" writer "|" lamport "|" place "|" versions *( "|" field )
 *   writer     = letter                       "A".."Z"
 *   place      = "" / letter age              age: record's Lamport time less that of the place, base 36
 *   versions   = "" / [ "-" ] *( letter age ) its own event {writer: lamport} is not listed; "-": it is not in the vector
 *   definition = "w" letter writer-name       an element of its own in the same list, before its first use
 * Fields from the fifth on are those of version 1. A letter means what the Yjs client that pushed the line says it does: a
 * client is one writer at a time and pushes in order, so nobody has to agree on letters, and what is defined never
 * changes. Of two definitions of one letter the first pushed counts. A line whose letters are not defined is left alone.
 */
import { limits } from '../base/limits.ts'
import { isWriter, type Writer } from './node-id.ts'
import { formatVector, lamportMax, parseBase36, parseVector } from './version-vector.ts'

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
const entryPattern = /([A-Z])([0-9a-z]{0,11})/y

interface Definition {
  readonly letter: string
  readonly writer: Writer
  /** Where Yjs keeps it: among the pushes of its client. */
  readonly clock: number
}

/** What the letters of one Yjs client mean. */
export class WriterLetters {
  private readonly byLetter = new Map<string, Definition>()
  private readonly byWriter = new Map<Writer, string>()

  /** Takes a definition in; anything else is ignored. */
  learn(text: string, clock: number): void {
    const letter = text.charAt(1)
    const writer = text.slice(2)
    if (text.charAt(0) !== 'w' || letter === '' || !letters.includes(letter) || !isWriter(writer)) return
    const known = this.byLetter.get(letter)
    if (known !== undefined && known.clock <= clock) return
    if (known !== undefined) this.byWriter.delete(known.writer)
    this.byLetter.set(letter, { letter, writer, clock })
    this.byWriter.set(writer, letter)
  }

  writerOf = (letter: string): Writer | undefined => this.byLetter.get(letter)?.writer
  letterOf = (writer: Writer): string | undefined => this.byWriter.get(writer)

  /** The definition of the next letter for a writer, or undefined when none is left. */
  define(writer: Writer): string | undefined {
    const letter = letters.charAt(this.byLetter.size)
    return letter === '' || this.byLetter.has(letter) ? undefined : `w${letter}${writer}`
  }
}

export const isDefinition = (text: string): boolean => text.startsWith('w')

/**
 * Where the parts of a line lie whose place and versions are its own event, as those of all that is new: in short and in full
 * only its writer stands otherwise.
 */
function plainParts(
  line: string,
): { readonly head: string; readonly writer: string; readonly rest: string } | undefined {
  const first = line.indexOf('|')
  const second = line.indexOf('|', first + 1)
  const third = line.indexOf('|', second + 1)
  if (first < 0 || second < 0 || third < 0 || !line.startsWith('||', third + 1)) return undefined
  if (parseBase36(line.slice(second + 1, third), lamportMax) === undefined) return undefined
  return { head: line.slice(1, first + 1), writer: line.slice(first + 1, second), rest: line.slice(second) }
}

/** Writers that a line in full names. */
export function writersOf(text: string): readonly Writer[] {
  const plain = plainParts(text)
  if (plain !== undefined) return isWriter(plain.writer) ? [plain.writer] : []
  const [, writer = '', , place = '', versions = ''] = text.split('|', 5)
  const named = [writer, place.slice(place.indexOf('@') + 1), ...(parseVector(versions)?.keys() ?? [])]
  return [...new Set(named)].filter(isWriter)
}

/** @param text a record in full. @returns the line to push: short where that says exactly the same. */
export function shortLine(text: string, letterOf: (writer: Writer) => string | undefined): string {
  const plain = text.startsWith('1') ? plainParts(text) : undefined
  if (plain !== undefined) {
    const letter = isWriter(plain.writer) ? letterOf(plain.writer) : undefined
    const isUsable = letter !== undefined && text.length <= limits.treeRecordBytes
    return isUsable ? `2${plain.head}${letter}${plain.rest}` : text
  }
  const [head = '', writer = '', lamportText = '', place = '', versions = '', ...rest] = text.split('|')
  const lamport = parseBase36(lamportText, lamportMax)
  const vector = parseVector(versions)
  if (!head.startsWith('1') || lamport === undefined || vector === undefined) return text
  // because: what is no writer has no letter
  const letter = (name: string): string => letterOf(name as Writer) ?? '?'
  const age = (at: number): string => (at === lamport ? '' : (lamport - at).toString(36))
  const [placeLamport = '', placeWriter = ''] = place.split('@')
  const isOwn = ([name, at]: readonly [string, number]): boolean => name === writer && at === lamport
  const entries = [...vector]
  const others = entries.filter((entry) => !isOwn(entry)).map(([name, at]) => letter(name) + age(at))
  const own = versions === '' || entries.some(isOwn) ? '' : '-'
  const line = [
    `2${head.slice(1)}`,
    letter(writer),
    lamportText,
    place === '' ? '' : letter(placeWriter) + age(Number.parseInt(placeLamport, 36)),
    versions === '' ? '' : own + others.join(''),
    ...rest,
  ].join('|')
  return fullLine(line, (name) => writerBehind(text, name, letterOf)) === text ? line : text
}

/** @returns the record in full; the line as it is when it is not short, or its letters are not known. */
export function fullLine(line: string, writerOf: (letter: string) => Writer | undefined): string {
  if (!line.startsWith('2') || line.length > limits.treeRecordBytes) return line
  const plain = plainParts(line)
  if (plain !== undefined) {
    const writer = writerOf(plain.writer)
    return writer === undefined ? line : `1${plain.head}${writer}${plain.rest}`
  }
  const [head = '', letter = '', lamportText = '', place = '', versions = '', ...rest] = line.split('|')
  const writer = writerOf(letter)
  const lamport = parseBase36(lamportText, lamportMax)
  if (writer === undefined || lamport === undefined) return line
  const placed = place === '' ? [] : entriesOf(place, lamport, writerOf)
  const others = entriesOf(versions.replace('-', ''), lamport, writerOf)
  if (placed === undefined || placed.length > 1 || others === undefined) return line
  const [spot] = placed
  const vector = new Map(others)
  if (!versions.startsWith('-')) vector.set(writer, lamport)
  return [
    `1${head.slice(1)}`,
    writer,
    lamportText,
    spot === undefined ? '' : `${spot[1].toString(36)}@${spot[0]}`,
    versions === '' ? '' : formatVector(vector),
    ...rest,
  ].join('|')
}

/** Entries one after the other; undefined when one is not as it must be. */
function entriesOf(
  text: string,
  lamport: number,
  writerOf: (letter: string) => Writer | undefined,
): readonly (readonly [Writer, number])[] | undefined {
  const entries: (readonly [Writer, number])[] = []
  entryPattern.lastIndex = 0
  while (entryPattern.lastIndex < text.length) {
    const [, letter = '', age = ''] = entryPattern.exec(text) ?? []
    const writer = writerOf(letter)
    const years = age === '' ? 0 : parseBase36(age, lamport)
    if (writer === undefined || years === undefined || entries.length >= limits.versionVectorEntries)
      return undefined
    entries.push([writer, lamport - years])
  }
  return entries
}

/** Which writer of a line a letter stands for. */
function writerBehind(
  text: string,
  letter: string,
  letterOf: (writer: Writer) => string | undefined,
): Writer | undefined {
  return writersOf(text).find((writer) => letterOf(writer) === letter)
}
