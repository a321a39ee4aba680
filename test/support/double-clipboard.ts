/** The clipboard verbs of the double peer: texts in memory. */
import { SkeinError } from '../../src/base/errors.ts'
import type { DeviceId } from '../../src/base/ids.ts'
import type { ClipItem, ClipState } from '../../src/peer/api-clipboard.ts'
import type { ClipboardVerbs } from '../../src/peer/clipboard-verbs.ts'

export const doubleClipState: ClipState = { desktop: 'memory', state: 'ready', itemCount: 0, heldBytes: 0 }

export function createDoubleClipboard(
  device: () => { readonly deviceId: DeviceId; readonly deviceName: string },
): ClipboardVerbs {
  const clips: ClipItem[] = []
  const unknown = (): Promise<never> => Promise.reject(new SkeinError('not.found', 'no such item'))
  return {
    clipGet: () => {
      const [item] = clips
      return Promise.resolve(item === undefined ? {} : { item, text: item.text ?? '' })
    },
    async *clipRead() {
      const [item] = clips
      if (item === undefined) throw new SkeinError('not.found', 'the clipboard is empty')
      const bytes = Buffer.from(item.text ?? '')
      yield await Promise.resolve({
        kind: 'content' as const,
        mediaType: item.mediaType,
        sizeBytes: bytes.byteLength,
      })
      yield { kind: 'piece' as const, base64: bytes.toString('base64') }
    },
    clipSet: (params) => {
      const text = params.text ?? Buffer.from(params.base64 ?? '', 'base64').toString('utf8')
      const item: ClipItem = {
        ...device(),
        id: String(clips.length),
        atMs: 0,
        mediaType: 'text/plain',
        mediaTypes: ['text/plain'],
        sizeBytes: new TextEncoder().encode(text).byteLength,
        text,
        isPinned: false,
      }
      clips.unshift(item)
      return Promise.resolve(item)
    },
    clipUpload: () => Promise.resolve({ upload: 'x' }),
    clipHistory: () => Promise.resolve(clips),
    clipPaste: unknown,
    clipPin: unknown,
    clipUnpin: unknown,
    clipDelete: unknown,
    clipClear: () => Promise.resolve({ count: clips.splice(0).length }),
    clipPause: () => Promise.resolve({ ...doubleClipState, state: 'paused' }),
    clipResume: () => Promise.resolve(doubleClipState),
    clipState: () => Promise.resolve(doubleClipState),
  }
}
