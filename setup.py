from setuptools import setup

setup(cffi_modules=["minitensor/backend/native/_build.py:ffibuilder"])
