/** The OpenAPI 3.1 document of the console's REST face, made from its table (routes.ts). */
import type { Field } from './route.ts'
import { routeList } from './routes.ts'

type Json = Readonly<Record<string, unknown>>

export function describeApi(version: string): Json {
  const paths: Record<string, Record<string, Json>> = {}
  for (const [verb, route] of routeList) {
    const path = (paths[route.path] ??= {})
    const entries = Object.entries<Field>(route.fields)
    const isInPath = (name: string): boolean => route.path.includes(`{${name}}`)
    const parameters = entries
      .filter(([name]) => isInPath(name) || route.method === 'GET')
      .map(([name, field]) => ({
        name,
        in: isInPath(name) ? 'path' : 'query',
        required: isInPath(name) || field.isRequired === true,
        schema: schemaOf(field),
      }))
    const inBody = route.method === 'GET' ? [] : entries.filter(([name]) => !isInPath(name))
    path[route.method.toLowerCase()] = {
      operationId: verb,
      summary: route.summary,
      'x-cli': route.cli,
      parameters,
      ...(inBody.length > 0 && { requestBody: bodyOf(inBody) }),
      responses: {
        200:
          route.isStream === true
            ? {
                description: 'server-sent events: item, then end or error',
                content: { 'text/event-stream': {} },
              }
            : { description: 'done', content: { 'application/json': {} } },
        default: { description: 'failed', content: { 'application/json': { schema: errorSchema } } },
      },
    }
  }
  paths['/events'] = {
    get: {
      operationId: 'live',
      summary: 'live data: hello, then event and status; Last-Event-ID resumes',
      'x-cli': 'skein events',
      parameters: [],
      responses: { 200: { description: 'server-sent events', content: { 'text/event-stream': {} } } },
    },
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Skein console', version },
    servers: [{ url: '/api/v1' }],
    security: [{ cookie: [], tab: [] }],
    components: {
      securitySchemes: {
        cookie: { type: 'apiKey', in: 'cookie', name: 'skein_PORT' },
        tab: { type: 'apiKey', in: 'header', name: 'Skein-Tab' },
      },
    },
    paths,
  }
}

const errorSchema: Json = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message'],
      properties: { code: { type: 'string' }, message: { type: 'string' }, fix: { type: 'string' } },
    },
  },
}

function bodyOf(fields: readonly (readonly [string, Field])[]): Json {
  const required = fields.filter(([, field]) => field.isRequired === true).map(([name]) => name)
  return {
    required: required.length > 0,
    content: {
      'application/json': {
        schema: {
          type: 'object',
          ...(required.length > 0 && { required }),
          properties: Object.fromEntries(fields.map(([name, field]) => [name, schemaOf(field)])),
        },
      },
    },
  }
}

function schemaOf({ type, oneOf }: Field): Json {
  if (oneOf !== undefined) return { type: 'string', enum: oneOf }
  if (type === 'texts') return { type: 'array', items: { type: 'string' } }
  return { type: type === 'text' ? 'string' : type }
}
