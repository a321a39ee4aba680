/**
 * Notifications of the browser for what needs a person, while a page is open: switched on by a person's click, in this
 * browser; where the browser refuses, nothing is asked again. What stood there when the page opened was seen; a need is
 * told once, and by one tab of several (equal tags take each other's place).
 */
import { printable } from '../../base/printable.ts'

export interface Notice {
  /** Also what tells it from others. */
  readonly text: string
  readonly view: string
}

/** 'blocked': the person said no to the browser, or it does not ask; only its settings change that. */
export type NoticeState = 'unsupported' | 'off' | 'on' | 'blocked'

const key = 'skein-notices'
const textMax = 180

export function noticeState(): NoticeState {
  if (!('Notification' in globalThis)) return 'unsupported'
  if (Notification.permission === 'denied') return 'blocked'
  return Notification.permission === 'granted' && localStorage.getItem(key) === 'on' ? 'on' : 'off'
}

/** To be called in a click: browsers ask nobody otherwise. */
export async function switchNotices(isOn: boolean): Promise<NoticeState> {
  if (isOn && noticeState() === 'off') {
    const answer = await Notification.requestPermission()
    if (answer === 'granted') localStorage.setItem(key, 'on')
  } else localStorage.removeItem(key)
  return noticeState()
}

let told: Set<string> | undefined

/** What needs a person now. The first call of a page only takes note. */
export function tellNew(notices: readonly Notice[]): void {
  const isFirst = told === undefined
  const before = told ?? new Set<string>()
  told = new Set(notices.map(({ text }) => text))
  if (!isFirst) for (const notice of notices) if (!before.has(notice.text)) tell(notice)
}

/** At once, whatever was told before. */
export function tell({ text, view }: Notice): void {
  if (noticeState() !== 'on') return
  const body = printable(text)
  const shown = new Notification('Skein needs you', {
    body: body.length > textMax ? `${body.slice(0, textMax)}…` : body,
    tag: `skein ${body}`,
  })
  shown.addEventListener('click', () => {
    globalThis.focus()
    location.hash = view
    shown.close()
  })
}
