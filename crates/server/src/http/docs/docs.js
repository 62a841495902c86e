// Reads the OpenAPI document and lays it out. Text only ever becomes text: nothing of the document is taken for markup.
'use strict';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
let api;

function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

/** Words in `backticks` as code. */
function prose(text) {
  const parts = (text ?? '').split('`');
  return parts.map((part, at) => (at % 2 ? make('code', {}, part) : part));
}

function paragraphs(text) {
  return (text ?? '').split(/\n\n+/).filter(Boolean).map((part) => make('p', {}, ...prose(part)));
}

function resolve(node) {
  if (!node?.$ref) return node ?? {};
  return node.$ref.slice(2).split('/').reduce((at, key) => at?.[key], api) ?? {};
}

function nameOf(ref) {
  return ref.split('/').pop();
}

/** One line for a schema: `string`, `Message[]`, `"open" | "closed"`. */
function brief(schema) {
  if (!schema) return 'any';
  if (schema.$ref) return nameOf(schema.$ref);
  const any = schema.oneOf ?? schema.anyOf;
  if (any) return [...new Set(any.map(brief))].join(' | ');
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.allOf) return schema.allOf.map(brief).join(' & ');
  const types = [schema.type ?? 'object'].flat();
  return types
    .map((type) => {
      if (type === 'array') return `${brief(schema.items)}[]`;
      if (type === 'object' && schema.additionalProperties) return `{ [id]: ${brief(schema.additionalProperties)} }`;
      return schema.format && type !== 'null' && !/^u?int/.test(schema.format) ? `${type} (${schema.format})` : type;
    })
    .join(' | ');
}

/** The schema's shape with an indent for what is within, down to a depth that stays readable. */
function shape(schema, depth = 0) {
  const whole = resolve(schema);
  const any = whole.oneOf ?? whole.anyOf;
  if (any) {
    const shapes = any.map((one) => shape(one, depth));
    return [...new Set(shapes)].join(' | ');
  }
  const parts = [whole, ...(whole.allOf ?? []).map(resolve)];
  const fields = Object.assign({}, ...parts.map((part) => part.properties ?? {}));
  const required = parts.flatMap((part) => part.required ?? []);
  if (whole.type === 'array') return `${shape(whole.items, depth)}[]`;
  if (!Object.keys(fields).length || depth > 3) return brief(schema);
  const pad = '  '.repeat(depth + 1);
  const lines = Object.entries(fields).map(([name, field]) => {
    const optional = required.includes(name) ? '' : '?';
    return `${pad}${name}${optional}: ${shape(field, depth + 1)}`;
  });
  return `{\n${lines.join('\n')}\n${'  '.repeat(depth)}}`;
}

function bounds(schema) {
  const told = [];
  if (schema.minLength !== undefined || schema.maxLength !== undefined) {
    told.push(`${schema.minLength ?? 0} to ${schema.maxLength ?? '…'} characters`);
  }
  if (schema.default !== undefined) told.push(`${JSON.stringify(schema.default)} unless given`);
  return told.join(', ');
}

function fieldTable(rows) {
  return make('table', {}, make('tbody', {}, ...rows.map(([name, type, text]) =>
    make('tr', {}, make('td', {}, make('code', {}, name), make('br'), make('small', {}, type)), make('td', {}, ...prose(text))))));
}

function bodyRows(schema) {
  const whole = resolve(schema);
  return Object.entries(whole.properties ?? {}).map(([name, field]) => {
    const optional = (whole.required ?? []).includes(name) ? '' : '?';
    const text = [field.description ?? resolve(field).description, bounds(field)].filter(Boolean).join(' — ');
    return [name + optional, brief(field), text];
  });
}

function answer([status, given]) {
  const response = resolve(given);
  const content = Object.entries(response.content ?? {})[0];
  const ok = status.startsWith('2');
  return [
    make('tr', {}, make('td', {}, make('code', {}, status)), make('td', {}, ...prose(response.description))),
    ok && content?.[1].schema ? make('tr', {}, make('td'), make('td', {}, make('pre', {}, shape(content[1].schema)))) : undefined,
  ];
}

function operation(path, method, it) {
  const id = it.operationId;
  const open = it.security?.some((one) => !Object.keys(one).length);
  const body = it.requestBody && Object.values(resolve(it.requestBody).content)[0].schema;
  const parameters = (it.parameters ?? []).map(resolve);
  const article = make('article', { id },
    make('h3', {}, make('span', { class: `method ${method}` }, method.toUpperCase()), make('a', { class: 'path', href: `#${id}` }, path),
      open ? make('span', { class: 'open' }, 'signed out too') : undefined),
    make('p', {}, make('strong', {}, ...prose(it.summary))),
    ...paragraphs(it.description));
  if (parameters.length) {
    const rows = parameters.map((one) => [one.name + (one.required ? '' : '?'), `${one.in}, ${brief(one.schema)}`, one.description]);
    article.append(make('h4', {}, 'Parameters'), fieldTable(rows));
  }
  if (body) article.append(make('h4', {}, 'Body'), fieldTable(bodyRows(body)));
  article.append(make('h4', {}, 'Answers'), make('table', {}, make('tbody', {}, ...Object.entries(it.responses).flatMap(answer))));
  article.dataset.words = [path, method, it.summary, it.description].join(' ').toLowerCase();
  return article;
}

function layOut() {
  const content = document.getElementById('content');
  const index = document.getElementById('index');
  content.replaceChildren(make('h1', {}, `${api.info.title} ${api.info.version}`), ...paragraphs(api.info.description));
  for (const tag of api.tags) {
    const section = make('section', {}, make('h2', {}, tag.name), make('p', { class: 'lead' }, tag.description));
    const list = make('ul');
    for (const [path, item] of Object.entries(api.paths)) {
      for (const method of METHODS) {
        const it = item[method];
        if (!it?.tags?.includes(tag.name)) continue;
        section.append(operation(path, method, it));
        const line = make('li', {}, make('a', { href: `#${it.operationId}` }, make('span', { class: `method ${method}` }, method.toUpperCase()), path));
        line.dataset.of = it.operationId;
        list.append(line);
      }
    }
    content.append(section);
    index.append(make('div', {}, make('h2', {}, tag.name), list));
  }
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

function find(words) {
  const sought = words.toLowerCase().split(/\s+/).filter(Boolean);
  for (const article of document.querySelectorAll('article')) {
    article.hidden = !sought.every((word) => article.dataset.words.includes(word));
    const line = document.querySelector(`li[data-of="${CSS.escape(article.id)}"]`);
    if (line) line.hidden = article.hidden;
  }
  for (const group of document.querySelectorAll('main section, #index > div')) {
    group.hidden = !group.querySelector('article:not([hidden]), li:not([hidden])');
  }
}

document.getElementById('find').addEventListener('input', (event) => find(event.target.value));
fetch('/api/openapi.json')
  .then((response) => (response.ok ? response.json() : Promise.reject(new Error(`the server answered ${response.status}`))))
  .then((read) => {
    api = read;
    layOut();
  })
  .catch((error) => {
    document.getElementById('content').textContent = `The document could not be read: ${error.message}.`;
  });
