/**
 * P4, I2, and "never lose a byte": every content that stood on a device's disk, written there by its person or seen there at
 * rest, is still on that disk, in the tree or in versions, unless the person destroyed it there with her own hand.
 * P17, P18, I6, I8: every file under its final name holds a content that some person wrote as a whole, or the merge of such
 * (each of its lines was written by somebody), also on the disk of a device that was killed a moment ago. Only between a
 * power cut and the next start a file that is new at its place may be short, and only if a durable note says what it is to
 * be (files/placing.ts): nobody takes it for an edit, and at rest it is whole on every device.
 * After a power cut only what its person wrote on that very device must still be there: the rest others have.
 * A device that does not take all may let go of what it had: then another one has it, unless some person destroyed it.
 */
import { mergeKindOf } from '../../../src/files/merge-policy.ts'
import type { SpaceDevice } from '../device.ts'
import { keptContents, type Picture, takePicture } from '../picture.ts'
import type { ActEffect } from '../user.ts'
import { createLineage, type Lineage } from './lineage.ts'

export interface ContentCheck {
  acted(device: SpaceDevice, effect: ActEffect): void
  /** The device lost power. */
  lostPower(device: SpaceDevice): void
  /** Its disk made one content of another. */
  damaged(device: SpaceDevice, change: { readonly before: string; readonly after: string }): void
  /** A content that counts as written by a person from now on. */
  taken(content: string): void
  /** @throws when a content is gone, or was never written. */
  check(device: SpaceDevice): Promise<void>
  /** At rest: what stands there now must stay. */
  observe(device: SpaceDevice): Promise<void>
  readonly isMerged: Lineage['isMerged']
}

/** @param others which devices may hold what this one let go of; none when it keeps all. */
export function createContentCheck(
  others: (device: SpaceDevice) => readonly SpaceDevice[] = () => [],
): ContentCheck {
  const stood = new Map<SpaceDevice, Map<string, 'written' | 'seen'>>()
  const made: Made = { written: new Set(['']), lines: new Set(['']), spoiled: new Map() }
  const { written, lines, spoiled } = made
  const destroyed = new Set<string>()
  const lineage = createLineage()
  const of = (device: SpaceDevice): Map<string, 'written' | 'seen'> => {
    const known = stood.get(device) ?? new Map<string, 'written' | 'seen'>()
    stood.set(device, known)
    return known
  }
  return {
    acted(device, effect) {
      const known = of(device)
      for (const content of effect.destroyed) {
        known.delete(content)
        destroyed.add(content)
      }
      for (const content of effect.written) {
        known.set(content, 'written')
        written.add(content)
        for (const line of content.split('\n')) lines.add(lineKey(line))
        lineage.made(content, effect.destroyed)
      }
    },
    isMerged: lineage.isMerged,
    damaged(device, { before, after }) {
      of(device).delete(before)
      spoiled.set(device, (spoiled.get(device) ?? new Set()).add(after))
    },
    taken(content) {
      written.add(content)
      for (const line of content.split('\n')) lines.add(lineKey(line))
    },
    lostPower(device) {
      const known = of(device)
      for (const [content, how] of known) if (how === 'seen') known.delete(content)
    },
    async check(device) {
      checkWhole(made, device, await takePicture(device.disk))
      const kept = await keptContents(device.disk)
      for (const [content, how] of of(device)) {
        if (kept.has(content) || (await isElsewhere(content, others(device)))) continue
        if (others(device).length > 0 && destroyed.has(content)) continue
        throw new Error(`${device.name} lost a content ${how} there: ${JSON.stringify(content)}`)
      }
    },
    async observe(device) {
      const known = of(device)
      for (const [, what] of await takePicture(device.disk)) {
        if (what === 'dir' || what.startsWith('-> ')) continue
        const content = what.startsWith('*') ? what.slice(1) : what
        if (!known.has(content)) known.set(content, 'seen')
      }
    },
  }
}

/** What may stand under a final name. */
interface Made {
  /** By some person, as a whole. */
  readonly written: Set<string>
  readonly lines: Set<string>
  /** By device: what its disk made by itself. */
  readonly spoiled: Map<SpaceDevice, Set<string>>
}

function checkWhole(made: Made, device: SpaceDevice, picture: Picture): void {
  for (const [path, what] of picture) {
    if (what === 'dir' || what.startsWith('-> ') || isWhole(made, what, path)) continue
    if (device.folder === undefined && isNoted(device, path)) continue
    if (made.spoiled.get(device)?.has(what.startsWith('*') ? what.slice(1) : what) === true) continue
    throw new Error(`${device.name} shows what nobody wrote: ${JSON.stringify(path)} ${JSON.stringify(what)}`)
  }
}

function isWhole({ written, lines }: Made, content: string, path: string): boolean {
  const plain = content.startsWith('*') ? content.slice(1) : content
  if (written.has(plain)) return true
  if (mergeKindOf(path) === 'never') return false
  return plain.split('\n').every((line) => lines.has(lineKey(line)))
}

async function isElsewhere(content: string, devices: readonly SpaceDevice[]): Promise<boolean> {
  for (const { disk } of devices) if ((await keptContents(disk)).has(content)) return true
  return false
}

/** In a note that survived in the store. */
function isNoted({ storeDisk }: SpaceDevice, path: string): boolean {
  const rows = [...storeDisk.raw].filter(([key]) => key.startsWith('h!'))
  return rows.some(([, value]) => Buffer.from(value).toString('utf8').includes(`\0${path}`))
}

/** A merge by structure may change commas and blanks. */
const lineKey = (line: string): string => line.replace(/[,\s]/g, '')
