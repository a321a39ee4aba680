/** The mesh's clipboard for the command line: text items in the shared clipboard document. */
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Scope } from '../base/scope.ts'
import type { ClipboardItem } from '../crdt/clipboard.ts'
import { openClipboard } from '../crdt/clipboard.ts'
import type { ClipItem, PeerApi } from './api.ts'
import type { Roster } from './auth/roster.ts'
import type { Documents } from './documents.ts'
import type { EventBus } from './event-bus.ts'

export interface ClipboardParts {
  readonly documents: Documents
  readonly roster: Roster
  readonly self: DeviceId
  readonly bus: EventBus
}

const textType = 'text/plain'
const defaultHistory = 20
/** Longer text is cut in listings. */
const listedCharacters = 2_000

export function openClipboardService(
  env: Env,
  scope: Scope,
  parts: ClipboardParts,
): Pick<PeerApi, 'clipGet' | 'clipSet' | 'clipHistory'> {
  const clipboard = openClipboard(env, parts.documents.host, parts.self)
  const describe = (item: ClipboardItem): ClipItem => {
    const shown = textOf(item)
    const [first] = item.formats
    return {
      id: item.id,
      atMs: item.timeMs,
      deviceId: item.device,
      deviceName: parts.roster.state.devices.get(item.device)?.name ?? 'a former device',
      mediaType: first?.mime ?? textType,
      sizeBytes: item.formats.reduce((sum, format) => sum + format.sizeBytes, 0),
      ...(shown !== undefined && { text: shown.slice(0, listedCharacters) }),
    }
  }
  let lastId: string | undefined
  scope.own(
    clipboard.onChanged(() => {
      scope.spawn('clipboard news', async () => {
        const item = await clipboard.latest()
        if (item === undefined || item.id === lastId) return
        lastId = item.id
        parts.bus.publish('clipboard.changed', { deviceId: item.device, sizeBytes: describe(item).sizeBytes })
      })
    }),
  )
  return {
    async clipGet() {
      const item = await clipboard.latest()
      if (item === undefined) return {}
      const whole = textOf(item)
      return { item: describe(item), ...(whole !== undefined && { text: whole }) }
    },
    async clipSet({ text }) {
      const content = new TextEncoder().encode(text)
      if (content.byteLength > limits.clipboardInlineBytes) {
        throw new SkeinError(
          'limit.exceeded',
          `the clipboard takes at most ${limits.clipboardInlineBytes / 1024} KiB of text`,
          {
            fix: 'put it into a file of a shared folder',
          },
        )
      }
      return describe(await clipboard.addItem([{ mime: textType, content, sizeBytes: content.byteLength }]))
    },
    async clipHistory({ limit = defaultHistory, query }) {
      const items = await clipboard.items()
      const wanted = query?.toLocaleLowerCase()
      const found =
        wanted === undefined
          ? items
          : items.filter((item) => textOf(item)?.toLocaleLowerCase().includes(wanted))
      return found.slice(0, limit).map(describe)
    },
  }
}

function textOf(item: ClipboardItem): string | undefined {
  const format = item.formats.find((one) => one.mime.startsWith(textType))
  return format?.content === undefined ? undefined : new TextDecoder().decode(format.content)
}
