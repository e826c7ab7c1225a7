// Makes code tell the probe (engine/probe.ts) which branches it takes and what it compares.
import { transformSync } from '@babel/core';

const HITS = '__hits';
const PROBE = '__probe';
const COMPARISONS = new Map([
  ['===', 'equal'],
  ['!==', 'differ'],
  ['<', 'less'],
  ['<=', 'lessOrEqual'],
  ['>', 'more'],
  ['>=', 'moreOrEqual'],
]);
const LONGEST_LITERAL = 64;

/**
 * @param {string} code an ES module
 * @param {string} filename for error messages
 */
export function instrument(code, filename) {
  const state = { branches: 0, literals: new Set() };
  const result = transformSync(code, {
    filename,
    configFile: false,
    babelrc: false,
    // Stack traces keep the line numbers of the compiled file.
    retainLines: true,
    sourceType: 'module',
    plugins: [[plugin, state]],
  });
  if (!result?.code) throw new Error(`${filename} cannot be instrumented`);
  const file = `${PROBE}.file(${state.branches}, ${JSON.stringify([...state.literals])})`;
  return `const ${PROBE} = globalThis.fuzzProbe, ${HITS} = ${file}; ${result.code}`;
}

function plugin({ types: t }, state) {
  // What was added here is visited too, and must not be instrumented again.
  const done = new WeakSet();
  const own = (node) => {
    done.add(node);
    return node;
  };
  const hit = () =>
    own(
      t.updateExpression(
        '++',
        own(t.memberExpression(t.identifier(HITS), t.numericLiteral(state.branches++), true)),
      ),
    );
  const counted = (expression) => own(t.sequenceExpression([hit(), expression]));
  const block = (statement) => {
    const body = t.isBlockStatement(statement) ? statement : own(t.blockStatement([statement]));
    body.body.unshift(own(t.expressionStatement(hit())));
    return body;
  };
  const call = (method, args) =>
    own(t.callExpression(own(t.memberExpression(t.identifier(PROBE), t.identifier(method))), args));
  const once = (visit) => (path) => {
    if (done.has(path.node)) return;
    done.add(path.node);
    visit(path);
  };
  return {
    visitor: {
      Function: {
        exit: once(({ node }) => {
          node.body = t.isBlockStatement(node.body) ? block(node.body) : counted(node.body);
        }),
      },
      IfStatement: {
        exit: once(({ node }) => {
          node.consequent = block(node.consequent);
          node.alternate = block(node.alternate ?? own(t.blockStatement([])));
        }),
      },
      ConditionalExpression: {
        exit: once(({ node }) => {
          node.consequent = counted(node.consequent);
          node.alternate = counted(node.alternate);
        }),
      },
      LogicalExpression: {
        exit: once(({ node }) => {
          node.right = counted(node.right);
        }),
      },
      Loop: {
        exit: once(({ node }) => {
          node.body = block(node.body);
        }),
      },
      CatchClause: {
        exit: once(({ node }) => {
          block(node.body);
        }),
      },
      SwitchStatement: {
        exit: once(({ node }) => {
          const tests = node.cases.flatMap(({ test }) => (test === null ? [] : [t.cloneNode(test)]));
          for (const each of node.cases) each.consequent.unshift(own(t.expressionStatement(hit())));
          const cases = own(t.arrowFunctionExpression([], own(t.arrayExpression(tests))));
          node.discriminant = call('choose', [node.discriminant, cases]);
        }),
      },
      BinaryExpression: {
        exit: once((path) => {
          const { operator, left, right } = path.node;
          const method = COMPARISONS.get(operator);
          // undefined and null say nothing about bytes.
          if (method === undefined || t.isNullLiteral(right) || t.isIdentifier(right, { name: 'undefined' }))
            return;
          path.replaceWith(call(method, [left, right]));
        }),
      },
      StringLiteral({ node, parent }) {
        const { value } = node;
        if (t.isImportDeclaration(parent) || t.isExportDeclaration(parent)) return;
        // Sentences are messages for people.
        if (value !== '' && value.length <= LONGEST_LITERAL && !value.includes(' '))
          state.literals.add(value);
      },
      NumericLiteral({ node: { value }, parent }) {
        if (!done.has(parent) && Number.isInteger(value) && value > 1 && value < 2 ** 32)
          state.literals.add(value);
      },
    },
  };
}
