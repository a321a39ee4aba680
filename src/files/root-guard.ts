/** The marker in `.skein/marker`: proves before every pass that the root is the folder the index describes. */
import { SkeinError } from '../base/errors.ts'
import type { SpaceId } from '../base/ids.ts'
import { encodeId } from '../base/ids.ts'
import type { Random } from '../base/random.ts'
import { rowFor } from './apply.ts'
import { ensureDirectory, type Filesystem } from './filesystem.ts'
import type { FolderTree } from './folder-tree.ts'
import { internalFolder, stagingFolder } from './names.ts'
import { judgeRoot } from './safety.ts'

export const markerFile = `${internalFolder}/marker`

export interface RootGuard {
  /** Sets a folder up at first use. @throws `folder.missing` when this is not the folder we know: nothing may be decided then. */
  check(): Promise<void>
  /** For a round: the disk may go in the middle of it, and an empty place pass for one that was looked at. @throws `folder.missing`. */
  during<T>(round: () => Promise<T>): Promise<T>
}

export function createRootGuard(parts: {
  readonly tree: FolderTree
  readonly filesystem: Filesystem
  readonly random: Random
  readonly spaceId: SpaceId
}): RootGuard {
  const { tree, filesystem } = parts
  const setUp = async (): Promise<void> => {
    const marker = `${parts.spaceId} ${encodeId(parts.random.bytes(16))}`
    await ensureDirectory(filesystem, internalFolder)
    const there = await filesystem.lstat(markerFile)
    await using file = await filesystem.open(markerFile, there === undefined ? 'create' : 'write')
    await file.truncate(0)
    await file.write(new TextEncoder().encode(`${marker}\n`), 0)
    await file.sync()
    await filesystem.syncDirectory(internalFolder)
    const stat = await filesystem.lstat('')
    if (stat === undefined) throw missing('it is gone')
    const data = {
      kind: 'directory',
      hash: undefined,
      size: 0,
      mtimeNs: 0n,
      executable: false,
      target: marker,
    } as const
    await tree.commit(
      [],
      [
        {
          kind: 'put',
          row: rowFor({ ...data, nodeId: tree.rootId, parentId: '', name: '', version: '' }, '', stat),
        },
      ],
    )
  }
  return {
    async check() {
      const recordedMarker = (await tree.row('', ''))?.target
      const isDirectory = (await filesystem.lstat(''))?.kind === 'directory'
      const state = judgeRoot({
        recordedMarker,
        foundMarker: isDirectory ? await readMarker(filesystem) : undefined,
        isDirectory,
      })
      if (state === 'missing') throw missing('its marker is not there: is the disk mounted?')
      if (state === 'foreign') throw missing('it carries the marker of another folder')
      if (state === 'first-use') await setUp()
      if ((await filesystem.lstat(stagingFolder)) === undefined)
        await ensureDirectory(filesystem, stagingFolder)
    },
    async during(round) {
      const result = await round()
      if ((await filesystem.lstat(markerFile))?.kind !== 'file') throw missing('it went in this very moment')
      return result
    },
  }
}

/** @returns undefined where there is none. */
export async function readMarker(
  filesystem: Pick<Filesystem, 'lstat' | 'readSmall'>,
): Promise<string | undefined> {
  if ((await filesystem.lstat(markerFile))?.kind !== 'file') return undefined
  const small = await filesystem.readSmall(markerFile, 200)
  return small === undefined ? undefined : new TextDecoder().decode(small.bytes).trim()
}

const missing = (why: string): SkeinError =>
  new SkeinError('folder.missing', `the shared folder is not usable: ${why}`, {
    fix: 'mount or restore it, or share it anew; nothing was deleted',
  })
