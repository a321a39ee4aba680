/**
 * The disk of a device changes bytes in silence, and nobody takes that for an edit: no version with the damaged content ever
 * enters the document (P18, P59), on no other device does it stand, and once all is at rest the right bytes are back
 * wherever another device had them. What a person herself did with a damaged file before anybody could know is hers.
 */
import { type BlobHash, hashOf } from '../../../src/blobs/hash.ts'
import { isWithin, sameSignature } from '../../../src/files/filesystem.ts'
import type { FolderTree, SyncedRow } from '../../../src/files/folder-tree.ts'
import type { SpaceDevice } from '../device.ts'
import { contentKeyOf, keptFiles } from '../picture.ts'
import type { ActEffect } from '../user.ts'

export interface Damaged {
  readonly path: string
  readonly ino: bigint
  /** Content keys (picture.ts) before and after. */
  readonly before: string
  readonly after: string
}

export interface DamageCheck {
  /** Changes a byte of some file that is in sync and that another device holds as well. */
  damage(device: SpaceDevice, lot: number): Promise<Damaged | undefined>
  /**
   * What a person touches before the damage is known is hers, and what she moves before it is put right.
   * @returns damaged contents that count as written from now on.
   */
  acted(device: SpaceDevice, effect: Pick<ActEffect, 'touched' | 'written'>): Promise<readonly string[]>
  watch(device: SpaceDevice, tree: FolderTree): FolderTree
  /** Has the device look for damage that it does not know yet. @returns false while something is still to be put right. */
  pursue(device: SpaceDevice): Promise<boolean>
}

interface Known extends Damaged {
  readonly wasHash: BlobHash
  readonly isHash: BlobHash
}

export function createDamageCheck(
  devices: () => readonly SpaceDevice[],
  onFault: (what: string) => void,
): DamageCheck {
  const damages = new Map<SpaceDevice, Known[]>()
  const copied = new Set<BlobHash>()
  let count = 0
  const isKnown = ({ folder }: SpaceDevice, { ino, isHash }: Known): boolean =>
    folder?.scrub.damage.list().some((place) => place.ino === ino && place.actual === isHash) === true
  return {
    async damage(device, lot) {
      const known = spoil(device, {
        found: await candidates(device, devices()),
        lot,
        character: 1 + (++count % 8),
      })
      if (known === undefined) return undefined
      damages.set(device, [...(damages.get(device) ?? []), known])
      device.folder?.scrub.start()
      return known
    },
    async acted(device, { touched, written }) {
      const all = damages.get(device) ?? []
      // She copied what the disk had damaged
      for (const { after, isHash } of all) if (written.includes(after)) copied.add(isHash)
      const hers: Known[] = []
      // Where nothing is sent, what lies in a directory that she moved is hers as well: it has no row any more
      const isTouched = ({ path }: Known): boolean =>
        touched.some((one) => one === path || (device.isReadOnly && isWithin(path, one)))
      for (const one of all.filter(isTouched)) {
        const isMoved = (await device.disk.lstat(one.path))?.ino !== one.ino
        if (isMoved || !isKnown(device, one)) hers.push(one)
      }
      if (hers.length > 0)
        damages.set(
          device,
          all.filter((one) => !hers.includes(one)),
        )
      return hers.map(({ after }) => after)
    },
    watch: (device, tree) =>
      watchCommits(tree, ({ kind, hash }) => {
        if (!copied.has(hash) && damages.get(device)?.some(({ isHash }) => isHash === hash) === true)
          onFault(`${device.name} took what its disk damaged for a change by its person (${kind})`)
      }),
    async pursue(device) {
      const all = damages.get(device)
      if (all === undefined || all.length === 0) return true
      const files = await keptFiles(device.disk)
      const others = devices().filter((other) => other !== device)
      const elsewhere = new Set(
        (await Promise.all(others.map((other) => keptFiles(other.disk)))).flat().map(({ hash }) => hash),
      )
      const open = all.filter(({ ino, isHash, wasHash }) =>
        files.some(
          (file) => file.isInTree && file.ino === ino && file.hash === isHash && elsewhere.has(wasHash),
        ),
      )
      const { folder } = device
      if (open.some((one) => !isKnown(device, one)) && folder?.scrub.status().state === 'idle')
        folder.scrub.start()
      return open.length === 0
    },
  }
}

interface Spoiling {
  readonly found: readonly Candidate[]
  readonly lot: number
  /** One that nobody writes. */
  readonly character: number
}

/** The disk changes the first byte of one of these. */
function spoil({ journal }: SpaceDevice, { found, lot, character }: Spoiling): Known | undefined {
  const { path, row } = found[Math.floor(lot * found.length)] ?? {}
  const file = row === undefined ? undefined : journal.fileOf(row.ino)
  if (path === undefined || row?.hash === undefined || file === undefined) return undefined
  const before = file.content
  const after = before.slice()
  after[0] = character
  file.content = after
  return {
    path,
    ino: row.ino,
    before: contentKeyOf(before),
    after: contentKeyOf(after),
    wasHash: row.hash,
    isHash: hashOf(after),
  }
}

/** The tree, with an eye on the contents that are written into it. */
function watchCommits(
  tree: FolderTree,
  onContent: (content: { readonly kind: string; readonly hash: BlobHash }) => void,
): FolderTree {
  return Object.assign(Object.create(tree) as FolderTree, {
    // because: the prototype is the tree itself
    commit: async (...[changes, rows]: Parameters<FolderTree['commit']>) => {
      for (const change of changes) {
        const hash = change.kind === 'delete' ? undefined : change.data.hash
        if (hash !== undefined) onContent({ kind: change.kind, hash })
      }
      return await tree.commit(changes, rows)
    },
  })
}

interface Candidate {
  readonly path: string
  readonly row: SyncedRow
}

/** Files that are as recorded, for good, and that another device has too. */
async function candidates(
  device: SpaceDevice,
  devices: readonly SpaceDevice[],
): Promise<readonly Candidate[]> {
  const { tree } = device
  if (tree === undefined || device.folder === undefined || device.health.isUnmounted) return []
  const others = devices.filter((other) => other !== device)
  const elsewhere = (await Promise.all(others.map((other) => keptFiles(other.disk)))).flat()
  const held = new Set(elsewhere.filter(({ isInTree }) => isInTree).map(({ hash }) => hash))
  const found: Candidate[] = []
  for (const { path, hash, isInTree } of await keptFiles(device.disk)) {
    const stat = await device.disk.lstat(path)
    if (!isInTree || hash === undefined || stat === undefined || stat.size === 0 || !held.has(hash)) continue
    const row = (await tree.rowsWithHash(hash)).find((one) => one.ino === stat.ino)
    if (row !== undefined && !row.isRacy && sameSignature(stat, row)) found.push({ path, row })
  }
  return found
}
