/**
 * What a merged version was put together from, all the way down to versions that somebody wrote. Merging always starts
 * from those, whatever was merged on the way: then equal version vectors mean equal bytes, on every device and in every
 * order. They stand in the first extension field of the record (record.ts):
 *   sides = side 1*( ";" side )    side = hash [ "x" ] "@" [ base ] "@" vector
 * in order of vectors, "x" for executable, no base for the record's own. They count only while they make up the record's
 * versions exactly: an edit has an event of its own, so what an older peer carries along to it means nothing.
 */
import {
  compareVectors,
  formatVector,
  mergeVectors,
  parseVector,
  type VersionVector,
} from './version-vector.ts'

/** A version that somebody wrote, as far as merging it again needs it. */
export interface MergedSide {
  readonly versions: VersionVector
  /** 43 characters of base64url. */
  readonly hash: string
  /** Of the content it was edited from. */
  readonly base: string | undefined
  readonly isExecutable: boolean
}

/** Of a record of at most limits.treeRecordBytes; longer sides are not recorded. */
const sidesLengthMax = 2048
const sidePattern = /^([A-Za-z0-9_-]{43})(x?)@([A-Za-z0-9_-]{43})?@(.+)$/

/** @returns undefined when there is nothing to record, or too much. */
export function formatSides(sides: readonly MergedSide[], base: string | undefined): string | undefined {
  const parts = sides
    .map(({ versions, hash, base: own, isExecutable }) => ({
      head: `${hash}${isExecutable ? 'x' : ''}@${own === base ? '' : (own ?? '')}@`,
      // A side without a base can only be told apart where the record has none either
      isLost: own === undefined && base !== undefined,
      vector: formatVector(versions),
    }))
    .sort((a, b) => (a.vector < b.vector ? -1 : 1))
  const text = parts.map(({ head, vector }) => head + vector).join(';')
  return parts.length < 2 || parts.some(({ isLost }) => isLost) || text.length > sidesLengthMax
    ? undefined
    : text
}

/** @returns undefined for a version that was not merged, or whose sides are not known. */
export function sidesOf(record: {
  readonly versions: VersionVector
  readonly extension: string
  readonly base?: string | undefined
}): readonly MergedSide[] | undefined {
  if (record.extension === '') return undefined
  const sides: MergedSide[] = []
  for (const part of (record.extension.split('|')[1] ?? '').slice(0, sidesLengthMax).split(';')) {
    const [, hash, executable, base = record.base, text = ''] = sidePattern.exec(part) ?? []
    const versions = parseVector(text)
    if (hash === undefined || versions === undefined) return undefined
    sides.push({ versions, hash, base, isExecutable: executable === 'x' })
  }
  const whole = mergeVectors(...sides.map(({ versions }) => versions))
  return sides.length > 1 && compareVectors(whole, record.versions) === 'equal' ? sides : undefined
}

/** The extension with other sides in it; fields behind them stay where they are. */
export function withSides(extension: string, sides: string | undefined): string {
  const rest = extension.split('|').slice(2)
  if (rest.length > 0) return `|${[sides ?? '', ...rest].join('|')}`
  return sides === undefined ? '' : `|${sides}`
}

/** One of several concurrent versions. */
export interface Mergeable extends MergedSide {
  readonly sides: readonly MergedSide[] | undefined
}

/**
 * The versions that somebody wrote, of which these are made: a function of their vectors' sum alone, in order of vectors.
 * @returns undefined when two of them say that they are the same and are not: no machine can tell which is right.
 */
export function leavesOf(versions: readonly Mergeable[]): readonly MergedSide[] | undefined {
  const leaves = new Map<string, MergedSide>()
  const seen = new Set<string>()
  for (const version of versions) {
    const text = formatVector(version.versions)
    if (seen.has(text)) return undefined
    seen.add(text)
    for (const leaf of version.sides ?? [version]) {
      const key = formatVector(leaf.versions)
      const known = leaves.get(key)
      if (known !== undefined && known.hash !== leaf.hash) return undefined
      leaves.set(key, leaf)
    }
  }
  const all = [...leaves].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, leaf]) => leaf)
  return all.filter((leaf) =>
    all.every((other) => compareVectors(leaf.versions, other.versions) !== 'before'),
  )
}
