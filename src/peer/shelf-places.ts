/** Where spaces lie on this device and how they are kept there, as it stands in the home's keep. */
import {
  array,
  boolean,
  decodeCanonical,
  encodeCanonical,
  integer,
  object,
  optional,
  text,
  textOf,
} from '../base/codec.ts'
import type { SpaceId } from '../base/ids.ts'
import { isSpaceId } from '../base/ids.ts'
import type { Keep } from '../base/keep.ts'
import { limits } from '../base/limits.ts'
import type { PartRules } from '../files/folder-part.ts'

/** What stays known while a folder is not open. */
export interface FolderCounts {
  readonly fileCount: number
  readonly sizeBytes: number
}

export interface Place {
  readonly directory: string
  readonly isPaused: boolean
  readonly counts: FolderCounts
  readonly rules: PartRules
}

export const noCounts: FolderCounts = { fileCount: 0, sizeBytes: 0 }

const recordName = 'spaces'
const patterns = array(text(limits.patternBytes), limits.selectionPatterns)
const placesShape = array(
  object({
    id: textOf(isSpaceId, 'a space id'),
    directory: text(4096),
    paused: optional(boolean),
    files: optional(integer()),
    bytes: optional(integer()),
    readOnly: optional(boolean),
    only: optional(patterns),
    except: optional(patterns),
  }),
  limits.spaces,
)
const placesBytes = limits.spaces * (8_192 + 2 * limits.selectionPatterns * limits.patternBytes)

export async function readPlaces(keep: Keep): Promise<ReadonlyMap<SpaceId, Place>> {
  const stored = await keep.read(recordName)
  const found = stored === undefined ? [] : decodeCanonical(stored, placesShape, placesBytes)
  return new Map(
    found.map(({ id, directory, paused = false, files = 0, bytes = 0, readOnly = false, ...of }) => {
      const selection = { only: of.only ?? [], except: of.except ?? [] }
      const counts = { fileCount: files, sizeBytes: bytes }
      return [id, { directory, isPaused: paused, counts, rules: { isReadOnly: readOnly, selection } }]
    }),
  )
}

export async function writePlaces(keep: Keep, places: ReadonlyMap<SpaceId, Place>): Promise<void> {
  const all = [...places].map(([id, { directory, isPaused, counts, rules }]) => ({
    id,
    directory,
    ...(rules.isReadOnly && { readOnly: true }),
    ...(rules.selection.only.length > 0 && { only: rules.selection.only }),
    ...(rules.selection.except.length > 0 && { except: rules.selection.except }),
    ...(isPaused && { paused: true, files: counts.fileCount, bytes: counts.sizeBytes }),
  }))
  await keep.write(recordName, encodeCanonical(all))
}
