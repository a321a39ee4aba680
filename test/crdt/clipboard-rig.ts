/** Devices with a clipboard each, for tests: real store, host and documents, a key ring of their own. */
import * as Y from 'yjs'
import { openClipboard, type Clipboard } from '../../src/crdt/clipboard.ts'
import type { ClipboardPayload } from '../../src/crdt/clipboard-item.ts'
import type { Bounds } from '../../src/crdt/clipboard-order.ts'
import { createTestSealer, type TestSealer } from '../support/clipboard-sealer.ts'
import { openRig, type Rig } from './rig.ts'

export interface ClipRig extends AsyncDisposable {
  readonly rig: Rig
  readonly clipboard: Clipboard
  readonly sealer: TestSealer
}

export interface ClipRigParts {
  readonly seed: number
  readonly bounds?: Bounds
  readonly nowMs?: number
}

export async function openClipRig({ seed, bounds, nowMs }: ClipRigParts): Promise<ClipRig> {
  const rig = await openRig({ seed })
  const sealer = createTestSealer()
  const env = nowMs === undefined ? rig.env : { ...rig.env, clock: { ...rig.env.clock, nowMs: () => nowMs } }
  const clipboard = openClipboard(env, rig.host, {
    device: rig.device,
    sealer,
    ...(bounds === undefined ? {} : { bounds }),
  })
  await clipboard.ready
  return {
    rig,
    clipboard,
    sealer,
    async [Symbol.asyncDispose]() {
      clipboard[Symbol.dispose]()
      await rig[Symbol.asyncDispose]()
    },
  }
}

export const clipDocuments = (rig: Rig): readonly string[] =>
  rig.host.names().filter((name) => name.startsWith('clip/'))

/** All that `from` has goes to `to`. */
export async function send(from: ClipRig, to: ClipRig): Promise<void> {
  const names = clipDocuments(from.rig)
  const updates = await from.rig.host.read(names, (document) =>
    names.map((name) => ({ name, update: Y.encodeStateAsUpdate(document(name)) })),
  )
  await to.rig.host.apply(updates, 'peer')
  await seen(to)
}

export async function exchange(a: ClipRig, b: ClipRig): Promise<void> {
  await send(a, b)
  await send(b, a)
}

/** Resolves when the clipboard has looked at all that is stored. */
export async function seen({ clipboard }: ClipRig): Promise<void> {
  // A write of nothing waits for what is being looked at
  await clipboard.remove([])
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}

export function text(value: string): ClipboardPayload {
  const content = new TextEncoder().encode(value)
  const formats = [{ mime: 'text/plain', sizeBytes: content.byteLength, content }]
  return { timeMs: 1, formats, files: [], leftOut: [] }
}

export async function textsOf({ clipboard }: ClipRig): Promise<readonly string[]> {
  const payloads = await Promise.all(clipboard.entries.map((entry) => clipboard.read(entry.id)))
  return payloads.map((payload) => new TextDecoder().decode(payload.formats[0]?.content))
}
