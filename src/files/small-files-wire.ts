/**
 * How batches of small files go to the thread that works on them and back: all contents of a batch in one buffer that is
 * handed over, not copied; errors as what may be told of them.
 */
import { fromWireError, SkeinError, toWireError, type WireError } from '../base/errors.ts'
import type { PlacedContent, PlacedSmall, ReadFile } from './small-files.ts'

type Packed<T> = T & { readonly lengthBytes: number }

export interface PackedContents {
  readonly files: readonly Packed<Omit<PlacedContent, 'bytes'>>[]
  readonly contents: Uint8Array<ArrayBuffer>
}

export interface PackedRead {
  readonly files: readonly (Packed<Omit<ReadFile, 'bytes'>> | { readonly error: WireError } | undefined)[]
  readonly contents: Uint8Array<ArrayBuffer>
}

export type PackedPlaced = readonly (PlacedSmall | 'blocked' | { readonly error: WireError })[]

export function packContents(files: readonly PlacedContent[]): PackedContents {
  const packed = files.map(({ bytes, ...file }) => ({ ...file, lengthBytes: bytes.byteLength }))
  return { files: packed, contents: joined(files.map(({ bytes }) => bytes)) }
}

export function unpackPlaced({ files, contents }: PackedContents): readonly PlacedContent[] {
  const next = splitter(contents)
  return files.map(({ lengthBytes, ...file }) => ({ ...file, bytes: next(lengthBytes) }))
}

export function packRead(answers: readonly (ReadFile | SkeinError | undefined)[]): PackedRead {
  const files = answers.map((answer) => {
    if (answer === undefined) return undefined
    if (answer instanceof SkeinError) return { error: toWireError(answer) }
    const { hash, stat, attributes } = answer
    return { hash, stat, attributes, lengthBytes: answer.bytes.byteLength }
  })
  const contents = answers.map((answer) =>
    answer !== undefined && 'bytes' in answer ? answer.bytes : noBytes,
  )
  return { files, contents: joined(contents) }
}

export function unpackRead({ files, contents }: PackedRead): readonly (ReadFile | SkeinError | undefined)[] {
  const next = splitter(contents)
  return files.map((file) => {
    if (file === undefined) return undefined
    if ('error' in file) return fromWireError(file.error)
    const { hash, stat, attributes } = file
    return { hash, stat, attributes, bytes: next(file.lengthBytes) }
  })
}

export const packPlaced = (answers: readonly (PlacedSmall | SkeinError | 'blocked')[]): PackedPlaced =>
  answers.map((answer) => (answer instanceof SkeinError ? { error: toWireError(answer) } : answer))

export const unpackPlacements = (answers: PackedPlaced): readonly (PlacedSmall | SkeinError | 'blocked')[] =>
  answers.map((answer) =>
    typeof answer === 'object' && 'error' in answer ? fromWireError(answer.error) : answer,
  )

const noBytes = new Uint8Array()

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { byteLength }) => sum + byteLength, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.byteLength
  }
  return all
}

/** @returns gives the next so many bytes, as views. */
function splitter(contents: Uint8Array): (lengthBytes: number) => Uint8Array {
  let at = 0
  return (lengthBytes) => {
    at += lengthBytes
    return contents.subarray(at - lengthBytes, at)
  }
}
