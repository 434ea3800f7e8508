// Shows the document that the page names, in whichever viewer the page has loaded.
const place = document.getElementById("docs");

function show(description) {
  if (window.Redoc) {
    window.Redoc.init(description, {}, place);
    return;
  }
  window.SwaggerUIBundle({
    domNode: place,
    // "Try it out" calls the server that this page is from, whatever the public address is: no
    // other origin has to be allowed, neither by the page's policy nor by CORS.
    spec: { ...description, paths: withoutOffers(description.paths), servers: [] },
    deepLinking: true,
  });
}

// Swagger UI would send the example of every parameter that nobody filled in: a filter of a list,
// the tag of another state, a key that is used up after the first time.
function withoutOffers(paths) {
  const copy = structuredClone(paths);
  const operations = Object.values(copy).flatMap((path) => Object.values(path));
  const parameters = operations.flatMap((operation) => operation.parameters ?? []);
  for (const { schema } of parameters.filter((parameter) => !parameter.required)) delete schema.example;
  return copy;
}

fetch(place.dataset.document)
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`status ${answer.status}`))))
  .then(show)
  .catch((error) => {
    place.textContent = `The document could not be loaded: ${error.message}.`;
  });
