"""A flow's definition as steps in words, as a picture and as a script. Knows neither Django nor the network.

```
definition ─ reading.read ─ Flow ─ steps.describe ─ Steps (words, one language) ─┬─ svg.draw ─ Picture
                                                                                 ├─ the text beside the picture
                                                                                 └─ the script for sign-off
```
Whatever a server sends is drawn, or is one CannotDraw with its reason.
"""
