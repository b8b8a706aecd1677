# The six words a contributor needs.
PYTHON ?= python
LINKS := build/links

.PHONY: dev test check fix bench clean links

dev:  ## Install MedHub with everything a contributor needs, into the active environment.
	$(PYTHON) -m pip install -e ".[all,dev]"

test:  ## Run all tests.
	$(PYTHON) -m pytest -n 2 --dist worksteal

check: links  ## Lint, types, and the floors that imports must keep to.
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) docs/generate.py --check
	MYPYPATH=$(LINKS) $(PYTHON) -m mypy -p medhub
	PYTHONPATH=$(LINKS) lint-imports --config setup.cfg

fix:  ## Mend what can be mended by machine: format, imports, generated tables.
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .
	$(PYTHON) docs/generate.py

bench:  ## Measure beside what you would use instead: tables.
	$(PYTHON) benchmarks/training_loop.py
	$(PYTHON) benchmarks/hub.py
	$(PYTHON) benchmarks/imaging.py
	$(PYTHON) benchmarks/genomics.py

clean:  ## Remove what was built here.
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache

# Type checkers do not follow the folder-to-package mapping of an editable install; a tree of links they do.
links:
	rm -rf $(LINKS) && mkdir -p $(LINKS)/medhub
	ln -s $(abspath hub)/* $(LINKS)/medhub/
	ln -s $(abspath plugins) $(LINKS)/medhub/plugins
	rm -f $(LINKS)/medhub/template
