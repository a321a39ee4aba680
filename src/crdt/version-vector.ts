/**
 * What a version of a file builds on: for each writer the Lamport time of its newest version that is contained.
 * Text form: `writer:lamport` in order of writers, joined by commas, numbers in base 36.
 */
import { limits } from '../base/limits.ts'
import { isWriter, type Writer } from './node-id.ts'

export type VersionVector = ReadonlyMap<Writer, number>

/** Lamport times are counters: an honest one never comes near. */
export const lamportMax = 2 ** 48

export type VectorOrder = 'equal' | 'before' | 'after' | 'concurrent'

export function compareVectors(a: VersionVector, b: VersionVector): VectorOrder {
  const isBelow = [...a].every(([writer, lamport]) => lamport <= (b.get(writer) ?? 0))
  const isAbove = [...b].every(([writer, lamport]) => lamport <= (a.get(writer) ?? 0))
  if (isBelow) return isAbove ? 'equal' : 'before'
  return isAbove ? 'after' : 'concurrent'
}

/** True when `a` contains all that `b` does. */
export const dominates = (a: VersionVector, b: VersionVector): boolean =>
  [...b].every(([writer, lamport]) => lamport <= (a.get(writer) ?? 0))

/**
 * The least vector above both. Too many writers: the oldest are forgotten, so that at worst a version that was
 * contained shows up again as a conflict copy.
 */
export function mergeVectors(...vectors: readonly VersionVector[]): VersionVector {
  const merged = new Map<Writer, number>()
  for (const vector of vectors) {
    for (const [writer, lamport] of vector) merged.set(writer, Math.max(lamport, merged.get(writer) ?? 0))
  }
  if (merged.size <= limits.versionVectorEntries) return merged
  return new Map([...merged].sort((a, b) => b[1] - a[1]).slice(0, limits.versionVectorEntries))
}

/** What all of them contain: the vector of the version they come from, where there is one. */
export function commonVector(first: VersionVector, ...others: readonly VersionVector[]): VersionVector {
  const common = new Map<Writer, number>()
  for (const [writer, lamport] of first) {
    const least = Math.min(lamport, ...others.map((other) => other.get(writer) ?? 0))
    if (least > 0) common.set(writer, least)
  }
  return common
}

/** `vector` with this writer's new version on top. */
export const advanceVector = (vector: VersionVector, writer: Writer, lamport: number): VersionVector =>
  mergeVectors(vector, new Map([[writer, lamport]]))

export function formatVector(vector: VersionVector): string {
  return [...vector]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([writer, lamport]) => `${writer}:${lamport.toString(36)}`)
    .join(',')
}

/** @returns undefined when the text is not in exactly that form. */
export function parseVector(text: string): VersionVector | undefined {
  const vector = new Map<Writer, number>()
  if (text === '') return vector
  const parts = text.split(',')
  if (parts.length > limits.versionVectorEntries) return undefined
  let before = ''
  for (const part of parts) {
    const writer = part.slice(0, 14)
    const lamport = parseBase36(part.slice(15), lamportMax)
    if (part.charAt(14) !== ':' || !isWriter(writer) || writer <= before || lamport === undefined)
      return undefined
    vector.set(writer, lamport)
    before = writer
  }
  return vector
}

/** A number in base 36 as we write it: no sign, no leading zero, at most `max`. */
export function parseBase36(text: string, max: number): number | undefined {
  if (!/^(?:0|[1-9a-z][0-9a-z]{0,10})$/.test(text)) return undefined
  const value = Number.parseInt(text, 36)
  return value <= max ? value : undefined
}
