/** The small parts that every view is made of. Text from elsewhere goes through `Said`, and nothing is ever markup. */
import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { printable } from '../../base/printable.ts'
import { ConsoleError } from './session.ts'

/** Text that another device or a file chose: isolated in its direction, control characters shown as `\u{..}`. */
export const Said = ({ text }: { readonly text: string }): JSX.Element => (
  <bdi class="said">{printable(text)}</bdi>
)

/** Lines of a file or of the clipboard: as `Said`, but breaking where they break. */
export const SaidLines = ({ text }: { readonly text: string }): JSX.Element => (
  <pre class="lines" dir="auto">
    {text
      .split('\n')
      .map((line, index) => `${index > 0 ? '\n' : ''}${printable(line.replaceAll('\t', '    '))}`)}
  </pre>
)

const marks = { good: '●', busy: '◐', bad: '▲', off: '○' } as const
export type Mood = keyof typeof marks

/** A state by sign and word; the colour only repeats it. */
export const Badge = ({ mood, word }: { readonly mood: Mood; readonly word: string }): JSX.Element => (
  <span class={`badge ${mood}`}>
    <span aria-hidden="true">{marks[mood]}</span> {word}
  </span>
)

/** The command that does the same; a click copies it. */
export function Cli({ line }: { readonly line: string }): JSX.Element {
  const [isCopied, setCopied] = useState(false)
  const copy = (): void => {
    void navigator.clipboard.writeText(line).then(() => setCopied(true))
  }
  return (
    <button
      type="button"
      class="cli"
      title="Copy this command"
      onClick={copy}
      onBlur={() => setCopied(false)}
    >
      <code>{printable(line)}</code>
      <span class="copied" role="status">
        {isCopied ? 'copied' : ''}
      </span>
    </button>
  )
}

export const Empty = ({
  title,
  children,
}: {
  readonly title: string
  readonly children: ComponentChildren
}): JSX.Element => (
  <div class="empty">
    <h3>{title}</h3>
    {children}
  </div>
)

export function Fault({ error }: { readonly error: unknown }): JSX.Element | null {
  if (error === undefined) return null
  const text = error instanceof Error ? error.message : 'it has failed'
  const fix = error instanceof ConsoleError ? error.fix : undefined
  return (
    <p class="fault" role="alert">
      <span aria-hidden="true">▲ </span>
      <Said text={text} />
      {fix !== undefined && (
        <>
          {' '}
          Fix: <Said text={fix} />
        </>
      )}
    </p>
  )
}

export interface ActionProps {
  readonly label: string
  readonly cli: string
  readonly run: () => Promise<unknown>
  /** Asked before it is done. */
  readonly confirm?: string
  readonly isDanger?: boolean
  /** One of many of its kind, so not the thing to do here. */
  readonly isQuiet?: boolean
  readonly isDisabled?: boolean
}

/** A button, the command that does the same, a question where it matters, and what went wrong. */
export function Action({
  label,
  cli,
  run,
  confirm,
  isDanger,
  isQuiet,
  isDisabled,
}: ActionProps): JSX.Element {
  const [isAsking, setAsking] = useState(false)
  const [isBusy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const start = (): void => {
    setAsking(false)
    setBusy(true)
    setError(undefined)
    run()
      .catch(setError)
      .finally(() => setBusy(false))
  }
  return (
    <div class="action">
      <div class="row">
        {isAsking ? (
          <>
            <span class="question">{confirm}</span>
            <button type="button" class="danger" autofocus onClick={start}>
              Yes, {label.toLowerCase()}
            </button>
            <button type="button" onClick={() => setAsking(false)}>
              No
            </button>
          </>
        ) : (
          <button
            type="button"
            class={isDanger === true ? 'danger' : isQuiet === true ? 'quiet-action' : ''}
            disabled={isBusy || isDisabled === true}
            onClick={confirm === undefined ? start : () => setAsking(true)}
          >
            {isBusy ? `${label} …` : label}
          </button>
        )}
        <Cli line={cli} />
      </div>
      <Fault error={error} />
    </div>
  )
}

export interface Loaded<T> {
  readonly value: T | undefined
  readonly error: unknown
  readonly reload: () => void
}

/** Loads on first sight, and again when `key` changes or on demand. */
export function useLoad<T>(load: () => Promise<T>, key: unknown): Loaded<T> {
  const [value, setValue] = useState<T>()
  const [error, setError] = useState<unknown>()
  const [count, setCount] = useState(0)
  useEffect(() => {
    let isCurrent = true
    load().then(
      (found) => {
        if (!isCurrent) return
        setValue(() => found)
        setError(undefined)
      },
      (fault: unknown) => isCurrent && setError(fault),
    )
    return () => void (isCurrent = false)
  }, [key, count])
  return { value, error, reload: () => setCount((before) => before + 1) }
}

export const Card = (props: {
  readonly title: ComponentChildren
  readonly children: ComponentChildren
}): JSX.Element => (
  <section class="card">
    <h2>{props.title}</h2>
    {props.children}
  </section>
)
