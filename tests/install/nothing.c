/* nothing.c - a library built without any backend links and says so.
 *
 * run.sh builds it with every backend off.
 */
#include <flowoffload.h>

#include <errno.h>
#include <stdio.h>

int main(void)
{
	struct fo_table_options options;
	struct fo_table *table = NULL;
	struct fo_error err;
	struct fo_port port;
	int rc;

	FO_INIT(&port);
	port.port = 1;
	FO_INIT(&options);
	options.capacity = 1;
	options.ports = &port;
	options.n_ports = 1;
	if (fo_backend_name(0) != NULL) {
		fprintf(stderr, "nothing: there is a backend %s\n", fo_backend_name(0));
		return 1;
	}
	rc = fo_table_create(&options, &table, &err);
	if (rc != -EOPNOTSUPP || err.reason != FO_R_NO_BACKEND || table != NULL || err.text[0] == '\0') {
		fprintf(stderr, "nothing: %d, %s\n", rc, rc < 0 ? err.text : "a table");
		return 1;
	}
	return 0;
}
